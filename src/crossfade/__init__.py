"""Move a live service and its data to a replacement, while it keeps serving."""

from crossfade.control.in_process import running
from crossfade.migration import Migration, json, path, query
from crossfade.model.batch_mapping import in_batches
from crossfade.model.column_mapping import columns
from crossfade.model.comparison import Compare
from crossfade.model.service import HttpService
from crossfade.model.store_description import SqlTable
from crossfade.model.store_documents import Items, MongoCollection, RedisDocuments
from crossfade.model.store_functions import Functions
from crossfade.model.store_http import HttpResource

__all__ = [
    "Compare",
    "Functions",
    "HttpResource",
    "HttpService",
    "Items",
    "Migration",
    "MongoCollection",
    "RedisDocuments",
    "SqlTable",
    "columns",
    "in_batches",
    "json",
    "path",
    "query",
    "running",
]
