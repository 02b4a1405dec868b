"""What makes a folder a phone: its properties, sysfs, /proc and services, all adjustable.

These files stand in for the hardware and the Android framework, nothing else does: the
commands that read them, and the programs that run, are real.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

WORK = "/data/local/tmp"
_MAPPED = re.compile(r"(?<![\w.])/(data|sdcard|sys|proc)(?=/)")

PROPERTIES = {
    "ro.product.manufacturer": "Google",
    "ro.product.brand": "google",
    "ro.product.model": "Pixel 8",
    "ro.product.device": "shiba",
    "ro.product.name": "shiba",
    "ro.product.board": "shiba",
    "ro.build.fingerprint": "google/shiba/shiba:14/UD1A.231105.004/11010374:user/release-keys",
    "ro.build.type": "user",
    "ro.build.version.release": "14",
    "ro.build.version.sdk": "34",
    "ro.soc.manufacturer": "Google",
    "ro.soc.model": "Tensor G3",
    "ro.board.platform": "zuma",
    "ro.hardware": "shiba",
    "ro.product.cpu.abilist": "arm64-v8a",
}

Clusters = Mapping[int, tuple[range, tuple[int, ...], int, str]]
"""By first core: cores, steps in kHz, capacity, part number."""

CLUSTERS: Clusters = {  # two, as on real phones
    0: (range(4), (324000, 820000, 1704000), 180, "0xd46"),
    4: (range(4, 8), (402000, 1600000, 2914000), 1024, "0xd4e"),
}

SCRIPTS = {
    "getprop": 'cat "$PHONE_ROOT/state/properties"',
    "dumpsys": 'cat "$PHONE_ROOT/state/dumpsys.$1" 2>/dev/null || echo "Can\'t find service: $1"',
    # The cores are the phone's, not this host's: what is kept on some finds them in its status.
    "taskset": """mask=$((0x$1)) core=0 list=
while [ $mask -gt 0 ]; do
  [ $((mask & 1)) = 1 ] && list="$list,$core"
  mask=$((mask >> 1)) core=$((core + 1))
done
shift; export PHONE_CORES="${list#,}"; exec "$@" """,
    "grep": """case "$PHONE_CORES $*" in
[0-9]*" -sH Cpus_allowed_list "*)
  printf '%s:Cpus_allowed_list:\\t%s\\n' "$PHONE_ROOT/proc/self/status" "$PHONE_CORES";;
*) exec /bin/grep "$@";;
esac""",
    "settings": 'cat "$PHONE_ROOT/state/settings.$2.$3" 2>/dev/null || echo null',
    "cmd": """case "$1 $2" in
"power set-fixed-performance-mode-enabled")
  if [ -e "$PHONE_ROOT/state/no_fixed_performance" ]; then
    echo "Failed to set FIXED_PERFORMANCE mode" >&2
    echo "This is likely because Power HAL AIDL is not implemented on this device" >&2
    exit 255
  fi
  echo "$3" > "$PHONE_ROOT/state/fixed_performance";;
*) echo "cmd: Can't find service: $1" >&2; exit 20;;
esac""",
}

THERMAL = """IsStatusOverride: {override}
ThermalEventListeners:
\tcallbacks: 1
\tkilled: false
\tbroadcasts count: -1
ThermalStatusListeners:
\tcallbacks: 3
\tkilled: false
\tbroadcasts count: -1
Thermal Status: {status}
Cached temperatures:
\tTemperature{{mValue=99.0, mType=3, mName=VIRTUAL-SKIN, mStatus=0}}
HAL Ready: true
HAL connection:
\tThermalHAL AIDL 1  connected: yes
Current temperatures from HAL:
\tTemperature{{mValue={skin}, mType=3, mName=VIRTUAL-SKIN, mStatus={status}}}
\tTemperature{{mValue=38.0, mType=0, mName=BIG, mStatus=0}}
\tTemperature{{mValue=0.0, mType=1, mName=G3D, mStatus=0}}
\tTemperature{{mValue=-99.9, mType=9, mName=TPU, mStatus=0}}
\tTemperature{{mValue=2400.0, mType=7, mName=vdroop, mStatus=0}}
Current cooling devices from HAL:
\tCoolingDevice{{mValue=0, mType=2, mName=thermal-cpufreq-2}}
Temperature static thresholds from HAL:
\tTemperatureThreshold{{mType=3, mName=VIRTUAL-SKIN, mHotThrottlingThresholds=[NaN, 39.0]}}
"""

BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: {plugged}
  Wireless powered: false
  Max charging current: 500000
  Max charging voltage: 5000000
  Charge counter: 3950000
  status: 2
  health: 2
  present: true
  level: {level}
  scale: 100
  voltage: 4310
  temperature: {temperature}
  technology: Li-ion
"""


class Root:
    """A phone's file system in a folder of the host, and the knobs of its hardware."""

    def __init__(
        self, folder: Path, serial: str, clusters: Clusters | None = None, **properties: str
    ) -> None:
        self.folder = folder.resolve()
        self.clusters = clusters or CLUSTERS
        self.properties = PROPERTIES | {"ro.serialno": serial} | properties
        for part in ("data/local/tmp", "sdcard", "state", "system/bin", "proc/self"):
            (self.folder / part).mkdir(parents=True)
        for name, body in SCRIPTS.items():
            self.tool(name, body)
        self.set_properties()
        self.thermal()
        self.battery()
        self.write(
            "state/dumpsys.power", "POWER MANAGER\n  mWakefulness=Asleep\n  mIsPowered=true\n"
        )
        self.write("state/settings.global.low_power", "0\n")
        self._proc()
        for first in self.clusters:
            self._cluster(first)
        self._accounting = threading.Lock()
        self._accounted = time.monotonic()

    def write(self, path: str, text: str) -> None:
        """Put text at a path of the phone."""
        target = self.folder / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.{threading.get_ident()}")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(target)  # a reader finds the old text or the new, as in sysfs

    def read(self, path: str) -> str:
        """The text at a path of the phone."""
        return (self.folder / path.lstrip("/")).read_text(encoding="utf-8")

    def tool(self, name: str, body: str) -> None:
        """A command of the phone, found before the host's."""
        self.write(f"system/bin/{name}", f"#!/bin/sh\n{body}\n")
        (self.folder / "system/bin" / name).chmod(0o755)

    def set_properties(self, **changed: str) -> None:
        """Change what getprop says."""
        self.properties |= changed
        lines = (f"[{name}]: [{value}]\n" for name, value in self.properties.items())
        self.write("state/properties", "".join(lines))

    def thermal(self, status: int = 0, skin: float = 31.5, override: str = "false") -> None:
        """Set what the thermal service says: status 0 (none) to 6 (shutdown), skin in Celsius."""
        self.write(
            "state/dumpsys.thermalservice",
            THERMAL.format(status=status, skin=skin, override=override),
        )

    def battery(self, level: int = 85, celsius: float = 28.7, plugged: str = "true") -> None:
        """Set what the battery service says: level in percent."""
        self.write(
            "state/dumpsys.battery",
            BATTERY.format(level=level, temperature=round(celsius * 10), plugged=plugged),
        )

    def clock(self, first: int, khz: int, cap: int | None = None) -> None:
        """Let a cluster run at a frequency from now on; `cap` lowers what the kernel allows."""
        self.account()
        policy = f"sys/devices/system/cpu/cpufreq/policy{first}"
        self.write(f"{policy}/scaling_cur_freq", f"{khz}\n")
        if cap is not None:
            self.write(f"{policy}/scaling_max_freq", f"{cap}\n")

    def account(self) -> None:
        """Do the kernel's accounting: ticks of 10 ms at the frequency each cluster ran at."""
        with self._accounting:  # several shells of one phone may run at once
            now = time.monotonic()
            ticks = int((now - self._accounted) * 100)
            self._accounted += ticks / 100
            for first in self.clusters:
                policy = f"sys/devices/system/cpu/cpufreq/policy{first}"
                if ticks and (self.folder / policy / "stats").is_dir():
                    self._add(policy, int(self.read(f"{policy}/scaling_cur_freq")), ticks)

    def inside(self, line: str) -> str:
        """A command line with the phone's paths turned into the host's."""
        return _MAPPED.sub(lambda found: f"{self.folder}/{found[1]}", line)

    def outside(self, data: bytes) -> tuple[bytes, bytes]:
        """Output with the host's paths turned back into the phone's, and its end, held back.

        A piece of output ends anywhere when its reader is late: what may be the beginning of a
        path there belongs before the next piece.
        """
        folder = os.fsencode(self.folder)
        turned = data.replace(folder, b"")
        begun = (size for size in range(len(folder) - 1, 0, -1) if turned.endswith(folder[:size]))
        kept = len(turned) - next(begun, 0)
        return turned[:kept], turned[kept:]

    def path(self, path: str) -> Path:
        """Where a file of the phone is on the host."""
        return Path(self.inside(path))

    @property
    def banner(self) -> str:
        """What the phone says of itself when it connects."""
        wanted = ("ro.product.name", "ro.product.model", "ro.product.device")
        return "".join(f"{name}={self.properties[name]};" for name in wanted)

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of a command."""
        return {
            "PATH": f"{self.folder}/system/bin:/usr/bin:/bin:/usr/sbin",
            "PHONE_ROOT": str(self.folder),
            "LC_ALL": "C",
        }

    def install(self, program: Path, name: str = "") -> str:
        """Put a Python program of the host on the phone; returns its path there."""
        target = self.folder / WORK.lstrip("/") / (name or program.stem)
        text = program.read_text(encoding="utf-8")
        target.write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
        target.chmod(0o755)
        return f"{WORK}/{target.name}"

    def remove(self, path: str) -> None:
        """Take a file or folder away, as a phone that lacks it."""
        target = self.folder / path.lstrip("/")
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    def _add(self, policy: str, khz: int, ticks: int) -> None:
        lines = self.read(f"{policy}/stats/time_in_state").splitlines()
        rows = {int(step): int(spent) for step, _, spent in (li.partition(" ") for li in lines)}
        rows[khz] = rows.get(khz, 0) + ticks
        text = "".join(f"{step} {spent}\n" for step, spent in rows.items())
        self.write(f"{policy}/stats/time_in_state", text)

    def _cluster(self, first: int) -> None:
        cpus, steps, capacity, _ = self.clusters[first]
        policy = f"sys/devices/system/cpu/cpufreq/policy{first}"
        files = {
            "scaling_governor": "sched_pixel",
            "scaling_cur_freq": steps[-1],
            "scaling_min_freq": steps[0],
            "scaling_max_freq": steps[-1],
            "cpuinfo_max_freq": steps[-1],
            "related_cpus": " ".join(map(str, cpus)),
        }
        for name, value in files.items():
            self.write(f"{policy}/{name}", f"{value}\n")
        self.write(f"{policy}/stats/time_in_state", "".join(f"{step} 100\n" for step in steps))
        for cpu in cpus:
            self.write(f"sys/devices/system/cpu/cpu{cpu}/cpu_capacity", f"{capacity}\n")
            link = self.folder / f"sys/devices/system/cpu/cpu{cpu}/cpufreq"
            link.symlink_to(f"../cpufreq/policy{first}")

    def _proc(self) -> None:
        self.write("proc/loadavg", "0.52 0.61 0.58 2/1890 12345\n")
        self.write("proc/uptime", "86400.25 600000.00\n")
        self.write("proc/meminfo", "MemTotal: 7600000 kB\nMemAvailable: 4200000 kB\n")
        self.write("proc/self/status", "Name:\tcat\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\n")
        self.write("proc/self/cpuset", "/foreground\n")
        self.write("proc/sys/kernel/random/boot_id", f"boot-{self.properties['ro.serialno']}\n")
        cores = (
            f"processor\t: {cpu}\nCPU part\t: {part}\n\n"
            for cpus, _, _, part in self.clusters.values()
            for cpu in cpus
        )
        self.write("proc/cpuinfo", "".join(cores))
