"""Move a live service and its data to a replacement, while it keeps serving."""

from crossfade.migration import Migration, json, path, query
from crossfade.model.comparison import Compare
from crossfade.model.service import HttpService
from crossfade.model.store_description import SqlTable

__all__ = ["Compare", "HttpService", "Migration", "SqlTable", "json", "path", "query"]
