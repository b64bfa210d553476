"""Runs the published ovh client, unchanged, against a simulator.

Usage: ovh_client.py VENV URL KEY SECRET CONSUMER PROGRAM

Makes the virtual environment VENV when it is missing and installs the pinned ovh into it. The
program then runs there with a configuration of its own, and prints one line of JSON. The client's
table of endpoints gets one more entry, the simulator's; nothing of the client is patched.

Programs: `renew` is the upstream's guide (find the service of a name, check its choices, order,
pay), `rights` asks for a consumer key, `errors` names the client's exceptions for wrong keys.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv

REQUIREMENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ovh_requirements.txt")
ENDPOINT = "simulator"

VPS = "vps112233.ovh.net"
PERIOD = "P3M"


def renew(client):
    service = client.get("/vps/{}/serviceInfos".format(VPS))["serviceId"]
    choices = client.get("/service/{}/renew".format(service))
    offered = [
        strategy
        for choice in choices
        if choice["renewPeriod"] == PERIOD
        for strategy in choice["strategies"]
        if strategy["services"] == [service]
    ]
    if not offered:
        raise ValueError("the period is not offered for the service alone")
    order = client.post(
        "/service/{}/renew".format(service), dryRun=False, duration=PERIOD, services=[service]
    )
    number = order["orderId"]
    paid = client.post(
        "/me/order/{}/payWithRegisteredPaymentMean".format(number),
        paymentMean="paypal",
        paymentMeanId=1234,
    )
    with_options = client.get("/service/{}/renew".format(service), includeOptions=True)
    return {
        "service": service,
        "order": number,
        "price": order["priceWithTax"],
        "paid": paid,
        "status": client.get("/me/order/{}/status".format(number)),
        "with_options": sum(len(choice["strategies"]) for choice in with_options),
    }


def rights(client):
    request = client.new_consumer_key_request()
    request.add_rules(["GET"], "/me")
    request.add_recursive_rules(["GET", "POST"], "/service")
    answer = request.request()
    return {"state": answer["state"], "key": answer["consumerKey"]}


def errors(client):
    import ovh

    named = {}

    def attempt(name, call):
        try:
            call()
        except ovh.APIError as error:
            known = bool(error.query_id)
            named[name] = [type(error).__name__, known]

    attempt("missing", lambda: client.get("/service/1"))
    attempt("parameter", lambda: client.post("/service/12345/renew", duration="P7D", services=[]))
    attempt("conflict", lambda: client.post("/service/12345/terminate"))
    client._consumer_key = "other"
    attempt("consumer", lambda: client.get("/me"))
    client._application_key = "other"
    attempt("application", lambda: client.get("/me"))
    return named


def inside(url, program):
    import ovh
    import ovh.client

    ovh.client.ENDPOINTS[ENDPOINT] = url
    print(json.dumps({"renew": renew, "rights": rights, "errors": errors}[program](ovh.Client())))


def python(folder):
    """The interpreter of the virtual environment, which is made when it is not there."""
    program = os.path.join(folder, "bin", "python")
    done = os.path.join(folder, "installed")
    if not os.path.exists(done):
        venv.create(folder, with_pip=True, clear=True)
        pip = [program, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--requirement", REQUIREMENTS], check=True, stdout=sys.stderr)
        open(done, "w").close()
    return program


def main():
    if sys.argv[1] == "--inside":
        inside(*sys.argv[2:])
        return 0
    folder, url, key, secret, consumer, program = sys.argv[1:]
    interpreter = python(folder)
    with tempfile.TemporaryDirectory() as home:
        with open(os.path.join(home, "ovh.conf"), "w") as configuration:
            configuration.write(
                "[default]\nendpoint={0}\n\n[{0}]\napplication_key={1}\n"
                "application_secret={2}\nconsumer_key={3}\n".format(ENDPOINT, key, secret, consumer)
            )
        # A home of its own: the caller's own configuration of the client must not be read.
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": home, "NO_PROXY": "127.0.0.1"}
        command = [interpreter, os.path.abspath(__file__), "--inside", url, program]
        return subprocess.run(command, env=environment, cwd=home).returncode


if __name__ == "__main__":
    sys.exit(main())
