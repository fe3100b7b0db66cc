"""Arguments, tables and exit codes. One small file per noun."""
