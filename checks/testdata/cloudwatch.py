"""A double of AWS (moto) on a free port with databases of RDS and their CloudWatch metrics; prints the port, and ends with its standard input."""

import datetime
import sys

import boto3
from moto.server import ThreadedMotoServer

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
print(port, flush=True)
sys.stdin.read()
