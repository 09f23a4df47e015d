"""What scores a row: an LLM judge, rules, or a user's own class."""
