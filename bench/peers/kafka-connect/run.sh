#!/bin/bash
# One Kafka broker (KRaft) and one Connect worker (distributed mode) that copy the targets
# from the source database into migration_target.
#   ./run.sh build                     jars from Maven (needs Java 17+, Maven, psql, curl, node)
#   ./run.sh sync SOURCE_DATABASE_URL=postgres://… DATABASE_URL=postgres://… [PIPELINE=debezium|jdbc] [TUNED=1] [KEEP=1]
#   ./run.sh start | stop | status     broker and worker only (data/ is kept; start FRESH=1 wipes it)
#   ./run.sh put NAME FILE…            create or change a connector from config files, merged left to right
set -u
cd "$(dirname "$0")"
for a in "$@"; do case $a in [A-Z]*=*) export "$a";; esac; done
JAVA=${JAVA:-java}
REST=http://127.0.0.1:18083
# the JVM options of Kafka's own start scripts
JVM="-server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent -XX:MaxInlineLevel=15 -Djava.awt.headless=true -Dlog4j2.configurationFile=config/log4j2.properties"
if [ -z "${PIPELINE:-}" ]; then PIPELINE=debezium; ls plugins/jdbc/*/*.jar > /dev/null 2>&1 && PIPELINE=jdbc; fi
BROKER_HEAP=${BROKER_HEAP:--Xmx1G -Xms1G}
WORKER_HEAP=${WORKER_HEAP:--Xmx2G -Xms256M}

now() { date +%s.%N; }
since() { echo "$(now) $1" | awk '{printf "%.1f", $1 - $2}'; }
alive() { [ -s "data/$1.pid" ] && kill -0 "$(cat "data/$1.pid")" 2>/dev/null; }
die() { echo "$*" >&2; exit 1; }
wait_for() { # seconds, what, command…
  local end=$((SECONDS + $1)) what=$2; shift 2
  until "$@"; do [ $SECONDS -lt $end ] || die "$what: not ready in time"; sleep 0.1; done
}
broker_up() { alive broker || die "broker ended: see data/broker.log"; grep -q 'Kafka Server started' data/broker.log; }
worker_up() { alive worker || die "worker ended: see data/worker.log"; curl -sf -o data/rest.out "$REST/connectors"; }

start_broker() {
  local t; t=$(now)
  [ -f data/kafka/meta.properties ] || "$JAVA" -cp 'lib/*' -Dlog4j2.configurationFile=config/log4j2.properties kafka.tools.StorageTool format -t peerKafkaConnectAAAAAA -c config/server.properties > data/format.log 2>&1 || die "format failed: see data/format.log"
  : > data/broker.log
  "$JAVA" $BROKER_HEAP $JVM -cp 'lib/*' kafka.Kafka config/server.properties >> data/broker.log 2>&1 & echo $! > data/broker.pid
  wait_for 60 broker broker_up
  since "$t" > data/broker.start
}
start_worker() {
  local t; t=$(now)
  sed "s#^plugin.path=.*#plugin.path=plugins/$PIPELINE#" config/connect.properties > data/connect.properties
  "$JAVA" $WORKER_HEAP $JVM -cp 'lib/*' org.apache.kafka.connect.cli.ConnectDistributed data/connect.properties >> data/worker.log 2>&1 & echo $! > data/worker.pid
  wait_for 90 worker worker_up
  since "$t" > data/worker.start
}
stop_one() { alive "$1" || return 0; kill "$(cat "data/$1.pid")"; for _ in $(seq 150); do alive "$1" || break; sleep 0.1; done; alive "$1" && kill -9 "$(cat "data/$1.pid")"; rm -f "data/$1.pid"; }
start() { [ -z "${FRESH:-}" ] || { stop; rm -rf data; }; mkdir -p data; alive broker || start_broker; alive worker || start_worker; }
stop() { stop_one worker; stop_one broker; }

# postgres://user:password@host:port/db -> PREFIX_HOST … for the config files
split_url() { eval "$(P=$1 URL=$2 node -e 'const u = new URL(process.env.URL), q = (s) => "\x27" + decodeURIComponent(s).replaceAll("\x27", "") + "\x27";
for (const [k, v] of Object.entries({ HOST: u.hostname, PORT: u.port || "5432", DB: u.pathname.slice(1), USER: u.username, PASSWORD: u.password })) console.log(`export ${process.env.P}_${k}=${q(v)}`)')"; }
put() { # name, files…
  local name=$1; shift
  node -e 'const fs = require("fs"); console.log(JSON.stringify(Object.assign({}, ...process.argv.slice(1).map((f) => JSON.parse(fs.readFileSync(f, "utf8").replace(/\$\{([A-Z_]+)\}/g, (_, k) => process.env[k] ?? ""))))))' "$@" |
    curl -sS --fail-with-body -X PUT -H 'Content-Type: application/json' -d @- "$REST/connectors/$name/config" > data/put.out || { cat data/put.out >&2; die "connector $name refused"; }
}
rss() { for p in broker worker; do awk '/^VmHWM/{print $2}' "/proc/$(cat data/$p.pid)/status"; done; }
cpu() { for p in broker worker; do sed 's/.*) //' "/proc/$(cat data/$p.pid)/stat" | awk '{printf "%.1f\n", ($12 + $13) / 100}'; done; }
failed() { curl -sf "$REST/connectors/$1/status" | grep -q '"state":"FAILED"'; }
drop_slot() {
  psql "$SOURCE_DATABASE_URL" -qAtX -c "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'kafka_connect_peer' AND NOT active" -c 'SET client_min_messages = warning' -c 'DROP PUBLICATION IF EXISTS kafka_connect_peer' > data/slot.out
}

sync() {
  : "${SOURCE_DATABASE_URL:?}" "${DATABASE_URL:?}"
  local suffix=${TUNED:+.tuned} tuned=() expected seq t0 R end n failures
  split_url SRC "$SOURCE_DATABASE_URL"; split_url DST "$DATABASE_URL"
  [ "$(psql "$DATABASE_URL" -qAtX -c 'SELECT count(*) FROM migration_target')" = 0 ] || die 'migration_target is not empty'
  expected=$(psql "$SOURCE_DATABASE_URL" -qAtX -c 'SELECT count(*) FROM legacy_document l LEFT JOIN preprocess_document p ON p.ticket_key = l.ticket_key WHERE p.ticket_key IS NULL')
  seq=$(psql "$DATABASE_URL" -qAtX -c "SELECT pg_get_serial_sequence('migration_target', 'id')")
  FRESH=1 start
  [ "$PIPELINE" = jdbc ] || drop_slot
  local base; base=$(psql "$DATABASE_URL" -qAtX -c "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM $seq")
  coproc SINK { exec psql "$DATABASE_URL" -qAtX; }
  ask() { echo "$1;" >&"${SINK[1]}"; read -r -u "${SINK[0]}" R; }
  trap 'stop; exit 130' INT TERM
  t0=$(now)
  for c in sink source; do
    tuned=(); [ -z "${TUNED:-}" ] || tuned=("config/$PIPELINE-$c.tuned.json")
    put "targets-$c" "config/$PIPELINE-$c.json" ${tuned[@]+"${tuned[@]}"}
  done
  end=$((SECONDS + ${TIMEOUT:-900})); n=0
  while :; do # the identity's last value costs nothing to read; count(*) only near the end
    ask "SELECT last_value FROM $seq"
    if [ $((R - base)) -ge "$expected" ]; then ask 'SELECT count(*) FROM migration_target'; [ "$R" -lt "$expected" ] || break; fi
    n=$((n + 1)); if [ $((n % 25)) = 0 ]; then for c in sink source; do failed targets-$c && { stop; die "targets-$c failed: see data/worker.log"; }; done; fi
    [ $SECONDS -lt $end ] || { stop; die 'timed out'; }
    sleep 0.2
  done
  local seconds; seconds=$(since "$t0"); local rows=$R
  local r=($(rss)) c=($(cpu)); ask 'SELECT 1'; eval "exec ${SINK[1]}>&-"
  if [ -z "${KEEP:-}" ]; then stop; [ "$PIPELINE" = jdbc ] || drop_slot; fi
  node -e 'const [p, t, rows, s, rb, rw, cb, cw, sb, sw] = process.argv.slice(1); const mb = (k) => Math.round(k / 1024);
console.log(JSON.stringify({ peer: `kafka-connect ${p}${t ? " tuned" : ""}`, job: "targetSync", rows: +rows, seconds: +s, rowsPerSecond: Math.round(rows / s), rssMb: mb(+rb + +rw), brokerRssMb: mb(rb), workerRssMb: mb(rw), brokerCpuSeconds: +cb, workerCpuSeconds: +cw, brokerStartSeconds: +sb, workerStartSeconds: +sw }))' \
    "$PIPELINE" "${TUNED:-}" "$rows" "$seconds" "${r[@]}" "${c[@]}" "$(cat data/broker.start)" "$(cat data/worker.start)"
}

case ${1:-} in
build) mvn -B -q -ntp -Dstyle.color=never package;;
sync) sync;;
start) start; echo "broker $(cat data/broker.start) s, worker $(cat data/worker.start) s";;
stop) stop;;
start-worker) start_worker; cat data/worker.start;;
put) split_url SRC "${SOURCE_DATABASE_URL:?}"; split_url DST "${DATABASE_URL:?}"; shift; files=(); for a in "$@"; do case $a in [A-Z]*=*) ;; *) files+=("$a");; esac; done; put "${files[@]}";;
status) for c in $(curl -sf "$REST/connectors" | tr -d '[]"' | tr ',' ' '); do curl -sf "$REST/connectors/$c/status"; echo; done;;
*) sed -n '2,8p' "$0"; exit 2;;
esac
