"""crossfade inside a process: functions as operations, no HTTP needed."""
