# The base images, for `run`: those that the Dockerfile and compose.yaml name, from their registry; where they cannot be
# had, stand-ins under their names, made by mmdebstrap from this machine's Debian mirror. They understand as much of the
# official images as compose.yaml uses. The lock's wheels lie in Python's, fetched by this machine's pip, because the
# engine of `engine.sh` reaches no network: the Dockerfile's pip checks their hashes all the same.

have_base_images() {
  local image named
  named=$(sed -nE 's/^FROM (\S+).*/\1/p; s/^    image: (\S+:\S+)/\1/p' "$root"/deployments/{Dockerfile,compose.yaml} | sort -u)
  for image in $named; do
    docker image inspect "$image" > /dev/null 2>&1 && continue
    [ ! -e "$folder/engine.pid" ] && docker pull --quiet "$image" > "$folder/pull.log" 2>&1 && continue
    [ -e "$folder/stand-in" ] || prepare_stand_ins
    docker build --quiet --target "${image%%:*}" --tag "$image" "$folder/stand-in" > "$folder/build.log" 2>&1 ||
      die "the stand-in for $image: $(tail -n 1 "$folder/build.log")"
    echo "$image" >> "$folder/stand-ins"
  done
}

prepare_stand_ins() {
  local mirror context="$folder/stand-in"
  command -v mmdebstrap > /dev/null && [ "$(id -u)" = 0 ] ||
    die "the base images cannot be pulled; to make stand-ins be root on a Debian with mmdebstrap (apt-get install mmdebstrap)"
  say "no base images to be had: making stand-ins from Debian"
  mkdir -p "$context"
  download_wheels "$context/wheels"
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sed -n 1p)
  # shellcheck disable=SC2086,SC2016 # no mirror, no argument; the hooks are expanded by mmdebstrap
  mmdebstrap --variant=minbase \
    --include=python3,python3-venv,python-is-python3,passwd,tzdata,postgresql,redis-server \
    --essential-hook='mkdir -p "$1/etc/postgresql-common"' \
    --essential-hook='echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.conf"' \
    bookworm - $mirror 2> "$folder/mmdebstrap.log" | docker import - impactflow-try-debian > /dev/null ||
    die "mmdebstrap failed: $(grep '^E:' "$folder/mmdebstrap.log" | sed -n '1p')"
  echo impactflow-try-debian >> "$folder/stand-ins"

  printf '[global]\nno-index = true\nfind-links = /wheels\n' > "$context/pip.conf"
  printf '#!/bin/sh\nexec "$@" --protected-mode no\n' > "$context/redis"
  cat > "$context/postgres" << 'POSTGRES'
#!/bin/sh -eu
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
install -d -o postgres -m 700 "$PGDATA"
install -d -o postgres /run/postgresql
if [ ! -e "$PGDATA/PG_VERSION" ]; then
  install -o postgres -m 600 /dev/null /tmp/password
  echo "$POSTGRES_PASSWORD" > /tmp/password
  as_postgres initdb --auth-local=trust --auth-host=scram-sha-256 --pwfile=/tmp/password --encoding=UTF8 --locale=C.UTF-8
  rm /tmp/password
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  as_postgres pg_ctl --wait --options="-c listen_addresses=''" start
  for script in /docker-entrypoint-initdb.d/*.sh; do as_postgres sh "$script"; done
  as_postgres pg_ctl --wait stop
fi
exec setpriv --reuid=postgres --regid=postgres --init-groups postgres -c listen_addresses='*'
POSTGRES
  chmod +x "$context/redis" "$context/postgres"
  cat > "$context/Dockerfile" << 'DOCKERFILE'
FROM impactflow-try-debian AS python
COPY wheels /wheels
COPY pip.conf /etc/pip.conf
FROM impactflow-try-debian AS redis
COPY redis /entrypoint
WORKDIR /data
ENTRYPOINT ["/entrypoint"]
FROM impactflow-try-debian AS postgres
COPY postgres /entrypoint
ENV PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin PGDATA=/var/lib/postgresql/data
STOPSIGNAL SIGINT
ENTRYPOINT ["/entrypoint"]
DOCKERFILE
}

# For Debian's Python 3.11.2. Where a line of the lock says for which versions it is, pip would go by its own Python.
download_wheels() {
  have_pip
  sed "s/ ; python_full_version < '3.11.3'//" "$root/requirements.lock" > "$folder/requirements"
  "$folder/venv/bin/pip" download --quiet --no-deps --require-hashes --only-binary=:all: --python-version 3.11 \
    --dest "$1" --requirement "$folder/requirements" > "$folder/pip.log" 2>&1 ||
    die "pip download failed: $(grep '^ERROR' "$folder/pip.log" | sed -n 1p)"
}
