"""The commands about webhooks: serve the receiver, try a sender's mapping on a file, send test deliveries."""

from pathlib import Path
from typing import Annotated

import typer

from impactflow.cli.command import Json, ending

webhooks_app = typer.Typer(
    invoke_without_command=True,
    epilog="Example: impactflow webhooks --port 8080",
    help="Receive webhooks of Shopify, WooCommerce, Stripe and others: verify and store them, and start a run.",
)


@webhooks_app.callback()
def webhooks(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any free port.")] = 8080,
    host: Annotated[
        str, typer.Option(help="The address to listen on; 0.0.0.0 for all of this machine's.")
    ] = "127.0.0.1",
    json: Json = False,
) -> None:
    """Receive webhooks of Shopify, WooCommerce, Stripe and others: verify and store them, and start a run."""
    if context.invoked_subcommand is not None:
        return
    from impactflow.cli.webhooks import serve_webhooks

    raise typer.Exit(serve_webhooks(host, port, as_json=json))


@webhooks_app.command("try", epilog="Example: impactflow webhooks try order-paid.json --sender polar")
@ending
def try_(
    file: Annotated[Path, typer.Argument(help="The JSON of one delivery, as the sender sends it.")],
    sender: Annotated[str, typer.Option(metavar="NAME", help="The sender, as the file of senders names it.")],
    json: Json = False,
) -> int:
    """Say what a delivery would mean under the sender's mapping in IMPACTFLOW_SENDERS; nothing is written."""
    from impactflow.cli.trying import try_mapping

    return try_mapping(file, sender, as_json=json)


@webhooks_app.command("send", epilog="Example: impactflow webhooks send shopify orders/paid")
@ending
def send(
    source: Annotated[str, typer.Argument(help="The sender, as its address ends: shopify, woocommerce, stripe, ...")],
    kind: Annotated[
        str | None, typer.Argument(help="The kind of delivery, such as orders/paid; by default one of each kind.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="The receiver's URL; by default the receiver on this machine.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Send this JSON instead of a test delivery: a run buys what its order has earned."
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Send signed test deliveries to the receiver, as a sender would, and say what the receiver answers to each."""
    from impactflow.cli.sending import send_deliveries

    return send_deliveries(source, kind, url, file, as_json=json)
