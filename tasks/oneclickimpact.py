"""1ClickImpact's operations as tasks; each takes ``OneClickImpactCredentials`` first. The client describes them."""

from impactflow.clients import OneClickImpactClient
from tasks.operations import task_for

whoami = task_for(OneClickImpactClient.whoami)
plant_tree = task_for(OneClickImpactClient.plant_tree)
clean_ocean = task_for(OneClickImpactClient.clean_ocean)
capture_carbon = task_for(OneClickImpactClient.capture_carbon)
donate_money = task_for(OneClickImpactClient.donate_money)
restore_coral = task_for(OneClickImpactClient.restore_coral)
cancel_impact = task_for(OneClickImpactClient.cancel_impact)
impact = task_for(OneClickImpactClient.impact)
daily_impact = task_for(OneClickImpactClient.daily_impact)
records = task_for(OneClickImpactClient.records)
customer_records = task_for(OneClickImpactClient.customer_records)
customers = task_for(OneClickImpactClient.customers)
track = task_for(OneClickImpactClient.track)
list_projects = task_for(OneClickImpactClient.list_projects)
get_project = task_for(OneClickImpactClient.get_project)
