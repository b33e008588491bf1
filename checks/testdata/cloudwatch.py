"""A double of AWS (moto) on a free port with databases of RDS and their CloudWatch metrics; prints the port, and ends with its standard input.

Amazon's newer clients ask CloudWatch in CBOR (Smithy RPC v2, RFC 8949), which moto does not know: such a request is put to moto as boto3 does it.
"""

import datetime
import struct
import sys
import threading
import urllib.error
import urllib.request

import boto3
from botocore import xform_name
from moto.server import ThreadedMotoServer
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

REGION = "eu-central-1"
# Of each database: percent, bytes free, bytes of memory, connections.
DATABASES = {
    "orders-prod": (12.5, 2e9, 5e8, 7),
    "stock-prod": (40.0, 9e10, 1e9, 12),
}
METRICS = ("CPUUtilization", "FreeStorageSpace", "FreeableMemory", "DatabaseConnections")

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()


def client(service):
    return boto3.client(
        service,
        endpoint_url=f"http://{host}:{port}",
        region_name=REGION,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )


rds, cloudwatch = client("rds"), client("cloudwatch")
now = datetime.datetime.now(datetime.timezone.utc)
for name, values in DATABASES.items():
    rds.create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.t3.micro",
        Engine="postgres",
        AllocatedStorage=100,
        MasterUsername="user",
        MasterUserPassword="password",
        Tags=[{"Key": "Name", "Value": name}],
    )
    # From before it is asked to after the test has ended.
    for minute in range(-6, 5):
        cloudwatch.put_metric_data(
            Namespace="AWS/RDS",
            MetricData=[
                {
                    "MetricName": metric,
                    "Dimensions": [{"Name": "DBInstanceIdentifier", "Value": name}],
                    "Timestamp": now + datetime.timedelta(minutes=minute),
                    "Value": value,
                }
                for metric, value in zip(METRICS, values)
            ],
        )


def read(data, at=0):
    """The item at this place, and the place behind it."""
    major, low = data[at] >> 5, data[at] & 31
    at += 1
    size = {24: 1, 25: 2, 26: 4, 27: 8}.get(low, 0)
    number = int.from_bytes(data[at : at + size], "big") if size else low
    if major == 7:
        if size > 1:
            form = {2: ">e", 4: ">f", 8: ">d"}[size]
            return struct.unpack(form, data[at : at + size])[0], at + size
        return {20: False, 21: True}.get(low), at + size
    at += size
    if major < 2:
        return (number if major == 0 else -1 - number), at
    if major == 6:
        value, at = read(data, at)
        return datetime.datetime.fromtimestamp(value, datetime.timezone.utc), at
    if major < 4:
        value = data[at : at + number]
        return (value.decode() if major == 3 else value), at + number
    items = []
    left = number * (major - 3)
    while data[at] != 0xFF if low == 31 else left > 0:
        item, at = read(data, at)
        items.append(item)
        left -= 1
    at += low == 31
    return (items if major == 4 else dict(zip(items[::2], items[1::2]))), at


def head(major, number):
    return bytes([major << 5 | 27]) + number.to_bytes(8, "big")


def write(value):
    if value is None or isinstance(value, bool):
        return bytes([{None: 0xF6, False: 0xF4, True: 0xF5}[value]])
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, datetime.datetime):
        return b"\xc1" + write(value.timestamp())
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(write, value))
    pairs = (write(name) + write(one) for name, one in value.items())
    return head(5, len(value)) + b"".join(pairs)


@Request.application
def front(request):
    if request.path.startswith("/service/"):
        operation = getattr(client("cloudwatch"), xform_name(request.path.rsplit("/", 1)[1]))
        asked = request.get_data()
        answer = operation(**(read(asked)[0] if asked else {}))
        del answer["ResponseMetadata"]
        headers = {"smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor"}
        return Response(write(answer), headers=headers)
    headers = {name: value for name, value in request.headers if name not in ("Host", "Content-Length")}
    url = f"http://{host}:{port}{request.full_path.rstrip('?')}"
    asked = urllib.request.Request(url, request.get_data() or None, headers, method=request.method)
    try:
        answer = urllib.request.urlopen(asked)
    except urllib.error.HTTPError as error:
        answer = error
    return Response(answer.read(), answer.status, content_type=answer.headers.get("content-type"))


clients = make_server("127.0.0.1", 0, front, threaded=True)
threading.Thread(target=clients.serve_forever, daemon=True).start()
print(clients.server_port, flush=True)
sys.stdin.read()
