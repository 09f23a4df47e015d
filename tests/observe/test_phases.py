from __future__ import annotations

from modelcall.observe import Phase, Phases


def test_a_run_starts_runs_and_ends() -> None:
    phases = Phases()
    assert (phases.phase, phases.note) == (Phase.STARTING, "")
    phases.started = True
    assert phases.phase is Phase.RUNNING
    phases.ended = "exit 0"
    assert (phases.phase, phases.note) == (Phase.ENDED, "exit 0")


def test_an_outage_shows_until_it_is_over() -> None:
    phases = Phases()
    phases.started = True
    phases.client_event("outage", {"message": "no answer for 30 s", "seconds": 30})
    assert (phases.phase, phases.note) == (Phase.OUTAGE, "no answer for 30 s")
    phases.client_event("recovered", {"seconds": 31})
    assert (phases.phase, phases.note) == (Phase.RUNNING, "")


def test_what_a_person_asked_for_counts_more_than_the_endpoint() -> None:
    phases = Phases()
    phases.client_event("outage", {"message": "down"})
    phases.paused_by = "by alice"
    assert (phases.phase, phases.note) == (Phase.PAUSED, "by alice")
    phases.draining_by = "by bob"
    assert (phases.phase, phases.note) == (Phase.DRAINING, "by bob")


def test_a_cool_down_is_a_note_that_goes_away_by_itself() -> None:
    now = [100.0]
    phases = Phases(clock=lambda: now[0])
    phases.started = True
    phases.client_event("cooldown", {"endpoint": "a:1", "seconds": 3.0, "cause": "http 429"})
    phases.client_event("cooldown", {"endpoint": "b:1", "seconds": 1.0, "cause": "http 503"})
    now[0] += 0.5
    assert phases.phase is Phase.RUNNING
    assert phases.note == "a:1 asks to wait 2.5 s (http 429); b:1 asks to wait 0.5 s (http 503)"
    now[0] += 1
    assert phases.note == "a:1 asks to wait 1.5 s (http 429)"
    now[0] += 2
    assert phases.note == ""
