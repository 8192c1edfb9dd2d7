# A Docker engine of its own, for `run`: where none answers on this machine, on a Debian, as root.
# It lives in namespaces of its own (network, mounts, processes), so that it clashes with nothing, reaches nothing and
# leaves nothing: when its first process ends, the kernel ends the rest. All that it writes is in $folder.

start_engine() {
  [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null ||
    die "no Docker engine answers: install and start Docker, or be root on a Debian"
  type docker dockerd docker-init iptables ip mmdebstrap > /dev/null 2>&1 ||
    apt-get install --quiet --yes docker.io iptables iproute2 mmdebstrap > "$folder/apt.log" 2>&1 ||
    die "no Docker engine answers: install Docker, or Debian's docker.io (apt-get install docker.io failed)"
  mkdir "$folder/cgroup"
  # A session of its own: Ctrl-C is for `run`, which then ends the engine in order.
  setsid unshare --net --mount --ipc --pid --fork --kill-child --mount-proc bash -ec '
    ip link set lo up
    mount --rbind /sys/fs/cgroup "$1/cgroup"
    mount -t sysfs sysfs /sys  # that of the new network
    mount --rbind "$1/cgroup" /sys/fs/cgroup
    exec docker-init -- dockerd --host "unix://$1/docker.sock" --data-root "$1/data" --exec-root "$1/exec" \
      --pidfile "$1/dockerd.pid" --containerd "" --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$2"
  ' - "$folder" "$(basename "$folder")" > "$folder/engine.log" 2>&1 3>&- &
  echo $! > "$folder/engine.pid"
  use_engine
  wait_for 60 docker info || die "the engine did not start: $(tail -n 1 "$folder/engine.log")"
}

# From here on `docker` and Compose speak to that engine.
use_engine() {
  unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
  export DOCKER_HOST="unix://$folder/docker.sock"
}

# unshare itself heeds no SIGTERM: its child is asked, and all are killed where that does not help.
end_engine() {
  local outer inner
  outer=$(cat "$folder/engine.pid")
  inner=$(cat "/proc/$outer/task/$outer/children" 2> /dev/null) || return 0
  kill $inner
  wait_for 30 gone "$outer" || kill -KILL "$outer"
  wait_for 10 gone "$outer"
  find /sys/fs/cgroup -depth -type d -path "*/$(basename "$folder")*" -exec rmdir {} + 2> /dev/null || true
}

gone() { [ ! -e "/proc/$1/task" ]; }
