"""The HTTP API: commands and queries as resources, problems as RFC 9457, described by OpenAPI 3.1."""
