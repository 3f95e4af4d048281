"""The pages that people look at: server-rendered HTML over the same queries and commands as the API."""
