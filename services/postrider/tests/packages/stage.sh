# What the commands of a page of the guide find when they are run by guide.rs: a relay at $W/relay with a tenant
# that waits for nobody, a fake internet that takes its mail, and `systemctl` for that relay alone. Told by the
# environment: W (a folder of its own), POSTRIDER (the binary), DATABASE (sqlite or postgres).
set -euo pipefail
export TMPDIR=$W TENANT KEY HTTP MAILBOX
postrider() { "$POSTRIDER" "$@"; }
# In the background: a process that ends with this shell, however that ends.
ours() { exec setpriv --pdeathsig KILL "$@"; }

eventually() { # eventually WHAT COMMAND…: until it succeeds
  local what=$1 deadline=$((SECONDS + 120))
  shift
  until "$@"; do
    [ $SECONDS -lt $deadline ] || { echo "waited in vain: $what" >&2; exit 1; }
    sleep 0.1
  done
}

server() { # a PostgreSQL of its own, on a socket alone; as root it is nobody's
  local bin as=()
  bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
  mkdir "$W/pg"
  [ "$(id -u)" -ne 0 ] || { as=(setpriv --reuid=65534 --regid=65534 --clear-groups); chown 65534 "$W/pg"; chmod 755 "$W"; }
  "${as[@]}" "$bin/initdb" -D "$W/pg/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$W/initdb.log"
  # setpriv twice: a change of the user forgets whose death is to be told.
  "${as[@]}" setpriv --pdeathsig INT "$bin/postgres" -D "$W/pg/data" -k "$W/pg" -c listen_addresses= \
    -c fsync=off -c autovacuum=off >"$W/postgres.log" 2>&1 &
  eventually "PostgreSQL" psql --quiet --output=/dev/null "${DATABASE_URL%%/postrider\?*}/postgres?host=$W/pg" \
    --command='CREATE DATABASE postrider' 2>"$W/psql.log"
}

systemctl() { # start, stop: the relay at $W/relay
  case $1 in
    start)
      ours "$POSTRIDER" serve --data "$W/relay" >>"$W/serve.log" 2>&1 &
      RELAY=$!
      eventually "the relay: $(tail -3 "$W/serve.log")" curl --silent --fail --output "$W/health" "$HTTP/readyz"
      ;;
    stop)
      kill "$RELAY"
      wait "$RELAY"
      ;;
    *) exit 2 ;;
  esac
}

stage() { # makes the folder by a sandbox, then has relay and internet apart: a restored relay is no sandbox
  local words=()
  [ "$DATABASE" = sqlite ] || { server; words=(--database "$DATABASE_URL"); }
  ours "$POSTRIDER" dev --fast --data "$W/relay" --http 127.0.0.1:0 --smtp 127.0.0.1:0 "${words[@]}" \
    >"$W/dev.log" 2>&1 &
  local sandbox=$!
  eventually "the sandbox" test -s "$W/relay/dev.json"
  HTTP=$(field http <"$W/relay/dev.json")
  KEY=$(field api_key <"$W/relay/dev.json")
  TENANT=$(postrider tenant list --data "$W/relay" --json | field 0 slug)
  kill "$sandbox"
  wait "$sandbox"
  cp -a "$W/relay" "$W/internet"
  ours "$POSTRIDER" fakenet --fast --data "$W/internet" >"$W/fakenet.json" 2>"$W/fakenet.log" &
  eventually "the fake internet" grep --quiet '}$' "$W/fakenet.json"
  MAILBOX=$(field mailbox <"$W/fakenet.json")
  systemctl start
}

field() { # field NAME…: of the JSON that comes in
  python3 -c 'import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1:]:
    value = value[int(name) if isinstance(value, list) else name]
print(value)' "$@"
}

arrived() { # arrived SUBJECT BYTES: once, and at least so large
  curl --silent --fail "$MAILBOX" | python3 -c 'import json, sys
found = [entry for entry in json.load(sys.stdin) if entry["subject"] == sys.argv[1]]
sys.exit(len(found) != 1 or found[0]["size"] < int(sys.argv[2]))' "$@"
}

said() { # said ID WORD: the relay says so of the message
  curl --silent --fail --header "Authorization: Bearer $KEY" "$HTTP/emails/$1" | grep --quiet "\"$2\""
}
