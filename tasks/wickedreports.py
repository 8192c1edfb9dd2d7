"""Wicked Reports' operations as tasks; each takes ``WickedReportsCredentials`` first. The client describes them."""

from impactflow.clients import WickedReportsClient
from tasks.operations import task_for

list_contacts = task_for(WickedReportsClient.list_contacts)
get_contact = task_for(WickedReportsClient.get_contact)
list_clicks = task_for(WickedReportsClient.list_clicks)
list_contact_clicks = task_for(WickedReportsClient.list_contact_clicks)
list_orders = task_for(WickedReportsClient.list_orders)
list_contact_orders = task_for(WickedReportsClient.list_contact_orders)
