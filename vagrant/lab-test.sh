#!/usr/bin/env bash
# The story of l3ctl on real VLANs, told by three machines that `vagrant up` or qemu-lab.sh made:
#   lab-test.sh --ssh-config FILE [--set-link COMMAND]
#
# FILE says how to reach r1, r2 and site (`vagrant ssh-config` prints one). COMMAND pulls and plugs a machine's cable: it is called with
# MACHINE ethN up|down. Every line was observed; what is not as promised ends it with exit code 1. It ends with every customer on r1,
# where they were.
# shellcheck disable=SC2015,SC2016  # what stands in single quotes is for the other machine; `broken` ends the script
set -euo pipefail

usage() { echo "lab-test: $1 (mend: lab-test.sh --ssh-config FILE [--set-link COMMAND])" >&2; exit 2; }
config='' set_link=()
while [ $# -gt 0 ]; do
	[ $# -ge 2 ] || usage "'$1' needs a value"
	case "$1" in
	--ssh-config) config=$2 ;;
	--set-link) read -ra set_link <<< "$2" ;;
	*) usage "unknown argument '$1'" ;;
	esac
	shift 2
done
[ -r "$config" ] || usage "no ssh configuration"

work=$(mktemp -d)
machines=(r1 r2 site)
leave() {
	jobs -p | xargs -r kill 2> /dev/null || true
	rm -rf "$work"
}
trap leave EXIT
trap 'exit 130' INT TERM HUP

heading() { printf '\n%s  [%d s]\n' "$1" "$SECONDS"; }
tell() { printf '   %s\n' "$1"; }
broken() { # also from inside a $(...)
	printf 'lab-test: not as promised: %s\n' "$1" >&2
	[ "$BASHPID" = $$ ] || kill -USR1 $$
	exit 1
}
trap 'exit 1' USR1
# One shell of root on each machine, for all that is asked: under an emulator each new connection costs seconds.
declare -A asks answers
for machine in "${machines[@]}"; do
	mkfifo "$work/$machine.ask" "$work/$machine.answer"
	ssh -F "$config" -o ConnectTimeout=120 "$machine" sudo bash < "$work/$machine.ask" > "$work/$machine.answer" &
	exec {descriptor}> "$work/$machine.ask"
	asks[$machine]=$descriptor
	exec {descriptor}< "$work/$machine.answer"
	answers[$machine]=$descriptor
done
on() { # MACHINE, and a shell command for root there: what it says, and how it ends
	local line text=''
	printf '( eval %q ) < /dev/null; printf "\\n%%s %%s\\n" l3lab-done $?\n' "$2" >&"${asks[$1]}" || broken "$1 is asked: it is gone"
	while IFS= read -r -t 300 -u "${answers[$1]}" line; do
		case "$line" in 'l3lab-done '*) printf '%s' "${text%$'\n'}"; return "${line#* }" ;; esac
		text+=$line$'\n'
	done
	broken "$1 answers: it does not"
}
within() { # WHAT COMMAND...: until the command succeeds. The patience is for an emulator on a busy machine
	local deadline=$((SECONDS + 180)) what=$1
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$deadline" ] || broken "$what: not in time; ${last:-}"
		sleep 0.3
	done
}

ROUTES='for family in -4 -6; do ip -n NAME $family route show proto PROTO; done | awk "{ for (i = 1; i < NF; i++) if (\$i == \"via\") { hop = \$(i + 1) == \"inet6\" ? \$(i + 2) : \$(i + 1); print (\$1 ~ \"/\" ? \$1 : \$1 \"/32\"), hop } }" | sort'
routes() { # bird|frr: prefix and next hop, of those that this daemon installed in its kernel
	local protocol=bird command
	[ "$1" = bird ] || protocol=bgp
	command=${ROUTES/NAME/$1}
	on site "${command/PROTO/$protocol}"
}
declare -A vlans=([web1]=11 [db1]=12 [rogue]=13)
declare -A hops=([r1]=2001:db8:ffff::2 [r2]=2001:db8:ffff::3)
declare -A legs=([r1]=eth1 [r2]=eth2)
expected() { # CUSTOMER=ROUTER...
	local one vlan
	for one; do
		vlan=${vlans[${one%=*}]}
		printf '%s %s\n' "2001:db8:$vlan::/64" "${hops[${one#*=}]}" "203.0.113.$vlan/32" "${hops[${one#*=}]}"
	done | sort
}
upstreams_have() { # CUSTOMER=ROUTER...: both daemons have exactly these
	local want have daemon
	want=$(expected "$@")
	for daemon in bird frr; do
		have=$(routes "$daemon")
		last="$daemon has ${have//$'\n'/, }"
		[ "$have" = "$want" ] || return 1
	done
}
# What `l3ctl status --json` prints is what the agent answers; starting Python for the command takes an emulated machine ten seconds.
QUESTION='import socket; s = socket.socket(socket.AF_UNIX); s.settimeout(120); s.connect("/run/l3ctl/agent.sock"); s.sendall(b"{\"command\": \"status\"}\n"); print(s.makefile().readline())'
status() { on "$1" "/opt/l3ctl/bin/python -ISc '$QUESTION' 2> /dev/null || echo '{\"agent\": null}'"; }
ask() { python3 -c "import json, sys; s = json.load(sys.stdin); p = {one['name']: one for one in s.get('ports', ())}; sys.exit(not ($1))"; }
says() { # ROUTER EXPRESSION over s, its status, and p, its ports
	last=$(status "$1")
	ask "$2" <<< "$last"
}
in_sync() { says "$1" 's["agent"] and len(p) == 3 and not s["failed"] and all(one["in_sync"] for one in p.values())'; }
customer_link() { on "$2" "ip link set eth1.${vlans[$1]} $3"; } # CUSTOMER ROUTER up|down
switch_to() { # CUSTOMER ROUTER: the switch carries the customer's VLAN to this router alone
	local vlan=${vlans[$1]} leg other=eth1
	leg=${legs[$2]}
	[ "$leg" = eth2 ] || other=eth2
	on site "bridge vlan del dev $other vid $vlan 2> /dev/null; bridge vlan add dev $leg vid $vlan"
}
move() { # CUSTOMER OLD NEW: the operator's three steps
	customer_link "$1" "$2" down
	switch_to "$1" "$3"
	customer_link "$1" "$3" up
}
ping_once() { # NAMESPACE ADDRESS: three answers of three, or fewer
	local said
	said=$(on site "ip netns exec $1 ping -n -q -c 3 -i 0.3 -W 2 $2" 2>&1) || true
	last=$(grep 'packet loss' <<< "$said" || echo "$said")
	grep -q ' 0% packet loss' <<< "$said"
}
pinging() { # NAMESPACE ADDRESS, in the background, until `pinged`; ten a second, and a quarter of an hour at most. `-w` would end at an ICMP error
	on site "ip netns exec $1 ping -n -D -i 0.1 -c 9000 $2 > /run/l3lab-pings 2>&1 & echo \$! > /run/l3lab-pings.pid"
}
answers_again() { # after a moment ago
	local now
	now=$(on site 'date +%s.%N')
	sleep 0.5
	on site "tail -n 1 /run/l3lab-pings | awk -F '[][]' '{ exit !(\$2 > $now) }'"
}
pinged() { # prints SENT and LOST, up to the last that was answered, which was just now
	within "the last pings are answered" answers_again
	on site 'kill -INT $(< /run/l3lab-pings.pid); while kill -0 $(< /run/l3lab-pings.pid) 2> /dev/null; do sleep 0.1; done; cat /run/l3lab-pings' > "$work/pings"
	awk -F 'icmp_seq=' '/ bytes from / { number = $2 + 0; if (!(number in seen)) answered++; seen[number]; if (number > sent) sent = number } END { print sent, sent - answered }' "$work/pings"
}

heading "Two routers on 802.1Q trunks, $(on r1 'uname -r'); upstream BIRD and FRR; three customers behind a switch"
for router in r1 r2; do
	within "the sessions of $router" says "$router" 's["agent"] and len(s["bgp"]["peers"]) == 2 and set(s["bgp"]["peers"].values()) == {"up"}'
	filter=$(on "$router" "ip link show eth1 | grep -o 'xdp[a-z]*' | head -n 1")
	[ "$filter" = xdp ] || broken "the filter of $router is on its trunk in native mode: ${filter:-there is none}"
	tell "$router: the agent runs, the sessions with BIRD and FRR stand, the filter is on eth1 in native mode"
done

heading "1. Every port is guarded, and nothing is announced while no link is up"
[ ${#set_link[@]} = 0 ] || "${set_link[@]}" r1 eth1 up
for customer in "${!vlans[@]}"; do
	for router in r1 r2; do customer_link "$customer" "$router" down; done
	switch_to "$customer" r1
done
within "silence" upstreams_have
for router in r1 r2; do
	within "$router has nothing left to do" in_sync "$router"
	says "$router" 'len(p) == 3 and all(one["link"] == "down" and one["filter"] == "enforce" and not one["announced"] for one in p.values())' || broken "$router is prepared: $last"
	tell "$router: every port is down, guarded, not announced; nothing is left to do"
done

heading "2. Links come up on r1: each /64 and /32 is routed and announced"
began=$SECONDS
for customer in web1 db1 rogue; do customer_link "$customer" r1 up; done
within "the announcements" upstreams_have web1=r1 db1=r1 rogue=r1
tell "in the kernel tables of BIRD and FRR within $((SECONDS - began)) s:"
routes frr | sed 's/ / via /; s/^/     /'
within "r1 is in sync" in_sync r1

heading "3. Customers and upstream reach each other over the trunk, and nobody learns a neighbour"
for customer in web1 db1; do
	vlan=${vlans[$customer]}
	for each in "$customer 2001:db8:ffff::1" "$customer 198.51.100.4" "bird 2001:db8:$vlan::1" "frr 203.0.113.$vlan"; do
		read -r namespace address <<< "$each"
		within "pings from $namespace to $address" ping_once "$namespace" "$address"
		tell "$(printf 'from %-5s to %-18s %s' "$namespace" "$address" "$last")"
	done
done
learnt_at() { on "$1" "for port in eth1 eth1.11 eth1.12 eth1.13; do ip neigh show dev \$port nud all; done | grep -v -e PERMANENT -e NOARP || true"; }
learnt=$(learnt_at r1)
[ -z "$learnt" ] || broken "r1 learns no neighbour: $learnt"
answered=$(status r1 | python3 -c 'import json, sys; c = {one["name"]: one["counters"] for one in json.load(sys.stdin)["ports"]}["web1"]; print(c.get("ns-answer", 0), c.get("arp-answer", 0))')
read -r asked6 asked4 <<< "$answered"
[ "$asked6" -gt 0 ] && [ "$asked4" -gt 0 ] || broken "the filter answers web1 for the gateway in both families: $answered"
tell "neighbours learnt by r1: none; the filter has answered web1 $asked6 times by ND and $asked4 times by ARP"

heading "4. A customer attacks: every frame dropped and counted, nothing changes"
refused="sum(n for reason, n in p['rogue']['counters'].items() if not reason.endswith('-answer'))"
already=$(status r1 | python3 -c "import json, sys; p = {one['name']: one for one in json.load(sys.stdin)['ports']}; print($refused)")
before=$(on r1 'ip neigh show nud all | grep -c eth1 || true')
told=$(on site "ip netns exec rogue /opt/l3ctl/bin/python /usr/local/lib/l3lab-attack.py")
echo "$told" > "$work/sent"
sent=$(awk '{ all += $1 } END { print all }' "$work/sent")
sed 's/^/     /' "$work/sent"
counted() { says r1 "$refused >= $already + $sent"; }
within "each of the $sent frames is counted" counted
# What a host does of itself at boot, asking for routers, is all that may be counted elsewhere.
says r1 "not any(n for reason, n in p['db1']['counters'].items() if not reason.endswith('-answer') and reason != 'rs')" || broken "nothing is counted at db1's port: $last"
after=$(on r1 'ip neigh show nud all | grep -c eth1 || true')
[ "$before" = "$after" ] || broken "the neighbour table stays as it is: $before entries before, $after after"
said=$(on r1 'l3ctl violations rogue')
grep -q '203.0.113.11, billed to web1' <<< "$said" || broken "violations name what rogue claimed: $said"
tell "$sent frames dropped and counted at rogue's port; neighbour table as before, $after entries"
tell "l3ctl violations: $(grep -m 1 '203.0.113.11, billed to web1' <<< "$said" | cut -d' ' -f3- | xargs)"
ping_once bird 2001:db8:11::1 || broken "web1 is unharmed: $last"
tell "web1, whom it was aimed at: $last"
upstreams_have web1=r1 db1=r1 rogue=r1 || broken "the announcements stay: $last"

heading "5. A link goes down: its prefixes are withdrawn, the others stay"
customer_link db1 r1 down
within "the withdrawal" upstreams_have web1=r1 rogue=r1
tell "db1's two prefixes left BIRD and FRR, the others stay"
customer_link db1 r1 up
within "db1 is back" upstreams_have web1=r1 db1=r1 rogue=r1

heading "6. The agent is killed (SIGKILL) while pings run"
old=$(on r1 'systemctl show -P MainPID l3ctl-agent')
pinging bird 2001:db8:11::1
on r1 "date '+%F %T' > /run/l3lab-killed; kill -KILL $old"
upstreams_have web1=r1 db1=r1 rogue=r1 || broken "announcements stand without the agent: $last"
within "systemd starts another agent" says r1 "s['agent'] and s['agent']['pid'] != $old and s['bgp']['relay']"
within "the new agent has nothing to do" in_sync r1
read -r sent lost <<< "$(pinged)"
[ "$sent" -gt 20 ] && [ "$lost" = 0 ] || broken "no ping is lost: $lost of $sent"
changes=$(on r1 "journalctl -q -o cat -u l3ctl-agent --since \"\$(cat /run/l3lab-killed)\" | grep -E '^(add|replace|remove|announce|withdraw|attach) ' || true")
[ -z "$changes" ] || broken "the new agent adopts what it finds: $changes"
tell "agent $old killed and followed by another, which changed nothing; pings lost: $lost of $sent"

heading "7. A customer moves from r1 to r2 and back, under pings"
at=r1
for to in r2 r1; do
	pinging bird 2001:db8:11::1
	within "web1 answers behind $at" answers_again
	move web1 "$at" "$to"
	within "web1's prefixes follow it to $to" upstreams_have web1=$to db1=r1 rogue=r1
	within "web1 answers behind $to" answers_again
	read -r sent lost <<< "$(pinged)"
	[ "$lost" -lt "$sent" ] || broken "web1 answers: $lost of $sent pings lost"
	ping_once web1 198.51.100.4 || broken "web1 reaches FRR by IPv4 through $to: $last"
	[ -z "$(learnt_at "$to")" ] || broken "$to learns no neighbour: $(learnt_at "$to")"
	tell "from $at to $to: web1's /64 and /32 are announced by $to alone; it was told nothing; pings lost: $lost of $sent, one each 0.1 s"
	at=$to
done

heading "8. The trunk of r1 loses its carrier: r1 withdraws, r2 takes over"
if [ ${#set_link[@]} = 0 ]; then
	tell "left out: without --set-link nobody here can pull a cable"
else
	"${set_link[@]}" r1 eth1 down
	within "r1 withdraws everything" upstreams_have
	says r1 'all(one["link"] == "down" for one in p.values())' || broken "r1 sees it on every VLAN: $last"
	tell "cable pulled: eth1 and its three VLAN devices have no carrier, all six prefixes left BIRD and FRR"
	for customer in web1 db1 rogue; do move "$customer" r1 r2; done
	within "r2 announces everything" upstreams_have web1=r2 db1=r2 rogue=r2
	within "db1 answers behind r2" ping_once bird 2001:db8:12::1
	tell "the switch sends the VLANs to r2: all are announced by r2; db1: $last"
	for customer in web1 db1 rogue; do move "$customer" r2 r1; done
	within "r2 withdraws" upstreams_have
	"${set_link[@]}" r1 eth1 up
	within "r1 has them again" upstreams_have web1=r1 db1=r1 rogue=r1
	within "db1 answers behind r1" ping_once frr 203.0.113.12
	tell "back to r1, cable plugged in: all are announced by r1; db1: $last"
fi

heading "9. Both routers are as they should be"
for router in r1 r2; do
	within "$router is in sync" in_sync "$router"
	on "$router" 'l3ctl plan > /dev/null' || broken "\`l3ctl plan\` of $router finds nothing to do: $(on "$router" 'l3ctl plan' 2>&1 || true)"
	on "$router" 'l3ctl status > /dev/null' || broken "\`l3ctl status\` of $router finds nothing wrong: $(on "$router" 'l3ctl status' 2>&1 || true)"
	tell "$router: \`l3ctl status\` finds nothing wrong, \`l3ctl plan\` nothing to do"
done
heading "All as promised"
