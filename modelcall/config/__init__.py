"""Everything users write: task, model and prompt files, and the environment, which only this package reads."""
