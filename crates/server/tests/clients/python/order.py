"""Places an order with nothing but the generated client: order.py <url> <email> <password>"""

import sys
from uuid import uuid4

from merx_client import AuthenticatedClient, Client
from merx_client.api.accounts import add_address, log_in
from merx_client.api.cart import get_cart, set_cart_line
from merx_client.api.catalogue import list_products
from merx_client.api.ordering import get_order, place_order, quote_checkout
from merx_client import models


def ok(answer):
    """What was answered, if it was not refused."""
    if answer.status_code >= 300:
        sys.exit(f"{answer.status_code}: {answer.content.decode()}")
    return answer.parsed


def body_of(operation):
    """The model of an operation's body, by the type its generated function takes."""
    import inspect

    annotation = inspect.signature(operation.sync_detailed).parameters["body"].annotation
    name = getattr(annotation, "__name__", str(annotation)).split(" | ")[0]
    return getattr(models, name)


url, email, password = sys.argv[1:]
credentials = body_of(log_in)(email=email, password=password)
session = ok(log_in.sync_detailed(client=Client(url), body=credentials))
api = AuthenticatedClient(url, session.access_token)

products = ok(list_products.sync_detailed(client=api, limit=50))
sku = next(sku.sku for product in products.items for sku in product.skus if sku.sku.startswith("T"))
home = body_of(add_address)(
    country="CN", region="浙江省", city="杭州市", line1="西湖区龙井路 1 号",
    postcode="310013", recipient="王小明", phone="13800138000",
)
address = ok(add_address.sync_detailed(client=api, body=home, idempotency_key=str(uuid4())))
ok(set_cart_line.sync_detailed(sku, client=api, body=body_of(set_cart_line)(quantity=1)))
cart = ok(get_cart.sync_detailed(client=api))
quote = ok(quote_checkout.sync_detailed(cart.id, client=api, body=body_of(quote_checkout)(address_id=address.id)))
accepted = body_of(place_order)(
    address_id=address.id, shipping_method=quote.shipping_method, quote_id=quote.quote_id
)
order = ok(place_order.sync_detailed(cart.id, client=api, body=accepted, idempotency_key=str(uuid4())))
seen = ok(get_order.sync_detailed(order.id, client=api))
assert seen.id == order.id and seen.lines[0].quantity == 1, seen
total = seen.amounts.total
print(f"Python: order {seen.id} of {total.minor} {total.currency}, {seen.status}")
