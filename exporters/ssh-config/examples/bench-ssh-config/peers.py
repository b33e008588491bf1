# Collects the configuration of devices with a library of Python; prints how many gave all of it, seconds, processor seconds, MiB.
import resource, subprocess, sys, time
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


def rancid(host):
    # As its rancid-run does for each router; the work folder has .cloginrc and the configuration of ssh.
    subprocess.run(["rancid", "-t", "frr", host], check=True, capture_output=True, timeout=120)
    with open(f"{host}.new") as file:
        return file.read().rstrip("!\n ")


def one(number):
    try:
        peers = {"netmiko": netmiko, "scrapli": scrapli, "rancid": rancid}
        text = peers[peer](f"127.1.{number // 250}.{number % 250 + 1}")
        return text.rstrip().endswith("end")
    except Exception as error:
        print(type(error).__name__, str(error).splitlines()[:1], file=sys.stderr)
        return False


def used():
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(own.ru_utime + own.ru_stime for own in both)


one(0)
began, before = time.time(), used()
with ThreadPoolExecutor(100 if peer != "rancid" else 20) as pool:
    good = sum(pool.map(one, range(devices)))
print(good, time.time() - began, used() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
