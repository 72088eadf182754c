"""Named statements, one module per noun: functions of a connection, no I/O beyond it."""
