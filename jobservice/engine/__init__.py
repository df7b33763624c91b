"""The copy engine: moves artifacts from one registry to another with as few requests as the two allow.

It knows the distribution protocol and asyncio. Queue, database and gRPC are behind the ports in `ports`.
"""
