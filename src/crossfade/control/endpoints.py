"""Which use case is at which path of the control API: the one list for server and client."""

PREFIX = "/v1"

LOOKS = {
    "status": f"{PREFIX}/status",
    "stage": f"{PREFIX}/stage",
    "history": f"{PREFIX}/stage/history",
    "plan": f"{PREFIX}/plan",
    "canary": f"{PREFIX}/canary",
    "backfill": f"{PREFIX}/backfill",
    "verification": f"{PREFIX}/verification",
    "diffs": f"{PREFIX}/diffs",
    "diff": f"{PREFIX}/diff",
    "dirty": f"{PREFIX}/dirty",
    "quarantine": f"{PREFIX}/quarantine",
    "ledger": f"{PREFIX}/ledger",
}
"""Use cases that change nothing: GET, the rest of what is asked in the query."""

CHANGES = {
    "promote": f"{PREFIX}/stage/promote",
    "rollback": f"{PREFIX}/stage/rollback",
    "freeze": f"{PREFIX}/freeze",
    "set_canary": f"{PREFIX}/canary",
    "start_backfill": f"{PREFIX}/backfill/start",
    "pause_backfill": f"{PREFIX}/backfill/pause",
    "start_verification": f"{PREFIX}/verification/start",
    "stop_verification": f"{PREFIX}/verification/stop",
    "repair": f"{PREFIX}/repair",
    "resolve_diff": f"{PREFIX}/diff/resolve",
    "release": f"{PREFIX}/dirty/release",
    "waive": f"{PREFIX}/quarantine/waive",
    "retry": f"{PREFIX}/quarantine/retry",
    "retire": f"{PREFIX}/retire",
}
"""Use cases that change something: POST, what is asked in a JSON body."""
