"""What a run over a shop with demo data needs: schemathesis_setup.py <folder of the run> <url of the shop>

- users.json, of whom the run is: each has an API key, because a run outlives an access token; sessions.json, their
  credentials, for what takes a session only (schemathesis_hooks.py);
- <user>.toml: the ids of what is there, so that an operation meets objects and not only their absence. They are what the
  shop's own reads show this user; a place of the API draws from those of the form its description gives.
"""

import json
import re
import sys
import urllib.error
import urllib.request
import uuid

work, url = sys.argv[1:]
ID = re.compile(r"\b([a-z]{3})_[0-7][0-9a-hjkmnp-tv-z]{25}\b")
# How often a parameter is an id of something that is there, and how many ids of a kind there are to draw from.
DRAWN, KEPT = 0.6, 12


def called(method, path, body=None, **headers):
    body = body and json.dumps(body).encode()
    request = urllib.request.Request(url + path, body, {"Content-Type": "application/json", **headers}, method=method)
    return json.loads(urllib.request.urlopen(request).read() or b"null")


def made(path, body, caller):
    return called("POST", path, body, **caller, **{"Idempotency-Key": str(uuid.uuid4())})


def log_in(account):
    session = called("POST", "/v1/sessions", {"email": account["email"], "password": account["password"]})
    return {"Authorization": "Bearer " + session["access_token"]}


accounts = json.load(open(f"{work}/data/demo.json"))["accounts"]
buyer, other, guessed, ended, *_ = (a for a in accounts if a["role"] == "customer")
of_role = lambda role: next(a for a in accounts if a["role"] == role)
users = {
    "customer": {**buyer, "guessed": guessed, "ended": ended},
    "other": {**other, "guessed": guessed, "ended": ended},
    "administrator": {**of_role("administrator"), "guessed": of_role("operator"), "ended": of_role("support")},
}
callers = {name: log_in(user) for name, user in users.items()}
mine = {name: called("GET", "/v1/me", **caller) for name, caller in callers.items()}
own_accounts = set(re.findall(r"acc_\w{26}", json.dumps(mine)))
for user in users.values():
    for helper in ("guessed", "ended"):
        own_accounts |= set(re.findall(r"acc_\w{26}", json.dumps(called("GET", "/v1/me", **log_in(user[helper])))))
keys = {
    name: made("/v1/api-keys", {"name": "check-api", "scopes": mine[name]["permissions"]}, caller)["secret"]
    for name, caller in callers.items()
}
fixed = lambda key: [{"name": "Authorization", "value": "Bearer " + key}]
json.dump({"auth": [{"name": n, "fixedHeaders": fixed(k)} for n, k in keys.items()]}, open(f"{work}/users.json", "w"))
json.dump({keys[name]: user for name, user in users.items()}, open(f"{work}/sessions.json", "w"))

description = called("GET", "/openapi.json")


def resolved(schema):
    while "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    for choice in schema.get("anyOf", []):
        if choice.get("type") != "null":
            return resolved(choice)
    return schema


def kind_of(name, schema):
    """The prefix of the ids this takes, or `sku`."""
    form = re.match(r"\^\(?([a-z]{3})_", resolved(schema).get("pattern", ""))
    return form[1] if form else name if name == "sku" else None


def places():
    """Every parameter and property that takes an id: where, as schemathesis names it, and the kind."""
    found = {}

    def inside(schema, path, depth):
        schema = resolved(schema)
        if schema.get("type") == "array" and depth < 4:
            inside(schema.get("items", {}), path + "[*]", depth + 1)
        for name, part in schema.get("properties", {}).items():
            kind = kind_of(name, part)
            if kind:
                found[f"{path}.{name}"] = kind
            elif depth < 4:
                inside(part, f"{path}.{name}", depth + 1)

    for operations in description["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                kind = kind_of(parameter["name"], parameter["schema"])
                if kind:
                    found[f"{parameter['in']}.{parameter['name']}"] = kind
            for media in operation.get("requestBody", {}).get("content", {}).values():
                inside(media["schema"], "body", 0)
    return found


def seen_by(caller):
    """What the reads show: ids by their kind, twice round, because a list leads to objects and those to further ones."""
    found = {}

    def take(value):
        for match in ID.finditer(json.dumps(value)):
            found.setdefault(match[1], {})[match[0]] = True

    def skus(value):
        if isinstance(value, dict):
            if isinstance(value.get("sku"), str):
                found.setdefault("sku", {})[value["sku"]] = True
            value = list(value.values())
        for part in value if isinstance(value, list) else []:
            skus(part)

    for _ in range(2):
        known = {kind: list(ids)[:KEPT] for kind, ids in found.items()}
        for path, operations in description["paths"].items():
            parameters = re.findall(r"{(\w+)}", path)
            operation = operations.get("get")
            if not operation or not path.startswith("/v1/") or len(parameters) > 1:
                continue
            kinds = [kind_of(p["name"], p["schema"]) for p in operation.get("parameters", []) if p["in"] == "path"]
            for one in known.get(kinds[0], []) if kinds else [None]:
                try:
                    answer = called("GET", path.replace("{%s}" % "".join(parameters), one or ""), **caller)
                except (urllib.error.HTTPError, json.JSONDecodeError):
                    continue
                take(answer)
                skus(answer)
    return found


for name in ("customer", "administrator"):
    if name == "customer":
        sku = called("GET", "/v1/products")["items"][0]["skus"][0]["sku"]
        called("PUT", f"/v1/cart/lines/{sku}", {"quantity": 1}, **callers[name])
        home = {"country": "CN", "region": "浙江省", "city": "杭州市", "line1": "西湖区龙井路 1 号", "postcode": "310013"}
        made("/v1/addresses", {**home, "recipient": "王小明", "phone": "13800138000"}, callers[name])
    seen = seen_by(callers[name])
    # Who runs this must be able to go on: his own account and key are not among what is changed.
    seen["acc"] = [account for account in seen.get("acc", {}) if account not in own_accounts]
    seen["version"] = ['"1"', '"2"', '"3"']
    drawn = {place: kind for place, kind in places().items() if seen.get(kind) and kind != "key"}
    drawn["header.If-Match"] = "version"
    with open(f"{work}/{name}.toml", "w") as config:
        for kind in sorted(set(drawn.values())):
            print(f"\n[dictionaries.{kind}]\nvalues = {json.dumps(list(seen[kind])[:KEPT])}", file=config)
        print("\n[parameters]", file=config)
        for place, kind in sorted(drawn.items()):
            print(f'"{place}" = {{ dictionary = "{kind}", probability = {DRAWN} }}', file=config)
