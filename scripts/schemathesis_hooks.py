"""What schemathesis cannot know of the API by its description: how a run stays logged in, and what is new each time.

The users of a run are known by their API keys, which live as long as the shop. An operation that takes a session only is
asked by a session of the same user; MERX_API_USERS maps each key to the user's credentials and to those of two others: one
whose password may be guessed at, which locks the account for a while, and one whose sessions may be ended.
"""

import json
import os
import time
import urllib.error
import urllib.request
import uuid

import schemathesis

URL = os.environ["MERX_API_URL"]
USERS = json.load(open(os.environ["MERX_API_USERS"]))
INSTEAD = {
    "listApiKeys": "ended",
    "makeApiKey": "ended",
    "revokeApiKey": "ended",
    "changePassword": "guessed",
    "eraseAccount": "guessed",
    "logOut": "ended",
    "endSession": "ended",
    "endSessionsElsewhere": "ended",
}
# A session token is used this long, in seconds; it lives twice as long.
TOKEN_LIFE = 300

tokens = {}


def post(path, body):
    headers = {"Content-Type": "application/json"}
    while True:
        try:
            request = urllib.request.Request(URL + path, json.dumps(body).encode(), headers)
            return json.load(urllib.request.urlopen(request))
        except urllib.error.HTTPError as refused:
            if refused.code != 429:
                raise
            time.sleep(int(refused.headers["Retry-After"]))


def token_of(user):
    email = user["email"]
    known, made = tokens.get(email, (None, 0))
    if known is None:
        known = post("/v1/sessions", {"email": email, "password": user["password"]})
    elif time.monotonic() - made > TOKEN_LIFE:
        known = post("/v1/sessions/refresh", {"refresh_token": known["refresh_token"]})
    else:
        return known["access_token"]
    tokens[email] = (known, time.monotonic())
    return known["access_token"]


def forget(authorization):
    for email, (known, _) in list(tokens.items()):
        if authorization == "Bearer " + known["access_token"]:
            del tokens[email]


def takes_a_session_only(operation):
    ways = operation.definition.raw.get("security") or []
    return bool(ways) and not any("key" in way for way in ways)


# The last quote of each user: the cart, and what the order must repeat of it.
quotes = {}
asked_quotes = [0]


def filled(case):
    """The user's cart with something in it: other operations empty it. `None` for who has none."""
    def called(method, path, body=None):
        headers = {"Authorization": case.headers["Authorization"], "Content-Type": "application/json"}
        request = urllib.request.Request(URL + path, body and json.dumps(body).encode(), headers, method=method)
        return json.loads(urllib.request.urlopen(request).read() or b"null")

    try:
        sku = called("GET", "/v1/products")["items"][0]["skus"][0]["sku"]
        called("PUT", f"/v1/cart/lines/{sku}", {"quantity": 1})
        return called("GET", "/v1/cart")["id"]
    except urllib.error.HTTPError:
        return None


def quoted(case, response):
    answer, asked = response.json(), case.body
    accepted = {"address_id": asked["address_id"], "shipping_method": answer["shipping_method"]}
    return case.path_parameters["cart"], {**accepted, "quote_id": answer["quote_id"]}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Writes texts of a form, such as ids, where they are referred to: schemathesis 4.32.5 ends with an internal error when a
    dictionary is bound to a parameter whose schema is a reference."""
    schemas = raw_schema["components"]["schemas"]
    texts = {f"#/components/schemas/{name}": text for name, text in schemas.items() if text.get("type") == "string"}

    def inlined(value):
        if isinstance(value, list):
            return [inlined(part) for part in value]
        if not isinstance(value, dict):
            return value
        text = texts.get(value.get("$ref"), {})
        return {**text, **{name: inlined(part) for name, part in value.items() if not text or name != "$ref"}}

    raw_schema["paths"] = inlined(raw_schema["paths"])
    raw_schema["components"]["schemas"] = inlined(schemas)


@schemathesis.hook
def before_call(context, case, kwargs):
    user = USERS.get(case.headers.get("Authorization", "").removeprefix("Bearer "))
    if user is not None and takes_a_session_only(case.operation):
        instead = INSTEAD.get(case.operation.definition.raw["operationId"])
        case.headers["Authorization"] = "Bearer " + token_of(user[instead] if instead else user)
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    # A key is new for each intent: the same one for another request is refused.
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    # A cursor is what the page before gave; one that was made up is refused.
    drawn = any(draw.parameter_name == "cursor" for draw in case.meta.pool_draws)
    if "cursor" in case.query and not drawn:
        del case.query["cursor"]
    # The tool takes the property `address` of an answer, which is an object, for the parameter `{address}`.
    if isinstance((case.path_parameters or {}).get("address"), dict):
        case.path_parameters["address"] = "adr_00000000000000000000000000"
    # Every second quote is of what is in the cart, sent as is usual.
    operation = case.operation.definition.raw["operationId"]
    if operation == "quoteCheckout" and isinstance(case.body, dict) and user is not None:
        asked_quotes[0] += 1
        cart = filled(case) if asked_quotes[0] % 2 else None
        if cart is not None:
            case.path_parameters["cart"] = cart
            case.body.pop("shipping_method", None)
    # An order repeats what a quote said. One is used once; the other orders have quotes that are made up.
    if operation == "placeOrder" and isinstance(case.body, dict):
        cart, accepted = quotes.pop(case.headers.get("Authorization"), (None, None))
        if cart is not None:
            case.path_parameters["cart"] = cart
            case.body.update(accepted)


@schemathesis.hook
def after_call(context, case, response):
    operation = case.operation.definition.raw["operationId"]
    if operation == "quoteCheckout" and response.status_code == 200:
        quotes[case.headers.get("Authorization")] = quoted(case, response)
    ended = operation == "logOut" and response.status_code == 204
    if ended or response.status_code == 401:
        forget(case.headers.get("Authorization", ""))
