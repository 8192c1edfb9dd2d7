"""CNaught's operations as tasks; each takes ``CNaughtCredentials`` first. The client describes the operations."""

from impactflow.clients import CNaughtClient
from tasks.operations import task_for

list_orders = task_for(CNaughtClient.list_orders)
submit_generic_order = task_for(CNaughtClient.submit_generic_order)
submit_ride_order = task_for(CNaughtClient.submit_ride_order)
get_order = task_for(CNaughtClient.get_order)
cancel_order = task_for(CNaughtClient.cancel_order)
get_generic_quote = task_for(CNaughtClient.get_generic_quote)
get_ride_quote = task_for(CNaughtClient.get_ride_quote)
get_impact_data = task_for(CNaughtClient.get_impact_data)
get_impact_hosted_page_config = task_for(CNaughtClient.get_impact_hosted_page_config)
list_subaccounts = task_for(CNaughtClient.list_subaccounts)
create_subaccount = task_for(CNaughtClient.create_subaccount)
get_subaccount = task_for(CNaughtClient.get_subaccount)
