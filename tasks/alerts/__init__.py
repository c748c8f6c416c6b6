"""Alerts: their texts, their delivery, and the checks that raise them.

- `commands`: what the command line does with alerts: acknowledge, close, test recipients, stop monitoring.
- `delivery`: the delivery of each alert to each recipient, with retries and reminders.
- `due_months`: monitored universes, the due dates of their months, and overdue months.
- `events`: Prefect events about alerts.
- `failure_hooks`: hooks of the monthly flow: alerts about failed unattended runs, delivery after every run.
- `messages`: the texts of alerts.
- `recipients`: the recipients of `BELLWETHER_ALERT_URLS`, with fingerprints and names without secrets.
- `redaction`: errors and other texts without secrets.
- `sender`: one message to one recipient, sent by apprise in a separate process.
- `service_check`: killed runs, stuck runs, and the summary of a service check.
- `unattended`: alerts about unattended commands that fail outside of a flow run.
"""
