"""Give a record to science so that nobody, not even a server, can tell that it is yours.

Donors split their records into parts for servers that different organisations run; no server,
alone, learns who gave what. The parts are mixed and counted while they are still parts, and only
the rows of a k-anonymous sample are ever put together. This package says nothing by itself: what is
needed is imported from its rooms, so that `import sfumato` stays light.
"""
