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


def takes_keys(operation):
    return any("key" in way for way in operation.definition.raw.get("security") or [])


@schemathesis.hook
def before_call(context, case, kwargs):
    user = USERS.get(case.headers.get("Authorization", "").removeprefix("Bearer "))
    if user is not None and not takes_keys(case.operation):
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


@schemathesis.hook
def after_call(context, case, response):
    ended = case.operation.definition.raw["operationId"] == "logOut" and response.status_code == 204
    if ended or response.status_code == 401:
        forget(case.headers.get("Authorization", ""))
