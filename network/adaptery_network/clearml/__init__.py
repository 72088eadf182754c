"""A worker of ClearML: trains one job of Adaptery inside one ClearML task, as an agent would.

__main__    the program that `clearml-agent` runs
settings    what the operator of the machine says
ticket_use  from the ticket of the task to an attempt
http_line   the session of the attempt, over HTTPS
sink        shows ClearML's users how training goes

ClearML's SDK is imported by the program alone.
"""
