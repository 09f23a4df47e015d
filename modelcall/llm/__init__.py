"""The endpoint: client, transports, retry, limits, and answers that are validated. Knows neither rows nor files."""
