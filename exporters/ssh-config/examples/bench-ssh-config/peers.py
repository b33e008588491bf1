# Collects the configuration of devices with a library of Python; prints how many gave all of it, seconds, processor seconds, MiB.
import resource, sys, time
from concurrent.futures import ThreadPoolExecutor

peer, port, devices = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def netmiko(host):
    from netmiko import ConnectHandler

    with ConnectHandler(device_type="cisco_ios", host=host, port=port, username="sotp", password="bench") as device:
        return device.send_command("show running-config", read_timeout=60)


def scrapli(host):
    from scrapli.driver.core import IOSXEDriver

    with IOSXEDriver(host=host, port=port, auth_username="sotp", auth_password="bench", auth_strict_key=False,
                     transport="ssh2", timeout_ops=60) as device:
        return device.send_command("show running-config").result


def one(number):
    try:
        text = {"netmiko": netmiko, "scrapli": scrapli}[peer](f"127.1.{number // 250}.{number % 250 + 1}")
        return text.rstrip().endswith("end")
    except Exception as error:
        print(type(error).__name__, str(error).splitlines()[:1], file=sys.stderr)
        return False


one(0)
began, used = time.time(), resource.getrusage(resource.RUSAGE_SELF)
with ThreadPoolExecutor(100) as pool:
    good = sum(pool.map(one, range(devices)))
now = resource.getrusage(resource.RUSAGE_SELF)
cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
print(good, time.time() - began, cpu, now.ru_maxrss / 1024)
