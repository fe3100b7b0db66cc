# What happens within NetBox's root, in namespaces of its own: `install VERSION`, `migrate`, or `serve DESCRIPTOR`, where that is a listening
# socket. PostgreSQL and Redis listen where only this namespace reaches them, and promise nothing past the next crash.
set -euo pipefail
postgresql=$(echo /usr/lib/postgresql/*/bin)
data=/var/lib/postgresql/netbox
netbox=/opt/netbox/bin
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }

database() { # comes back when it is killed
	while true; do
		as_postgres "$postgresql/postgres" -D "$data" -c listen_addresses= -c fsync=off -c jit=off 2>> /var/log/postgresql.log || true
		sleep 0.2
	done
}

start() {
	mkdir -p /run/postgresql
	chown postgres /run/postgresql
	redis-server --bind 127.0.0.1 --save '' --appendonly no --daemonize yes --logfile /var/log/redis.log
	database &
	until "$postgresql/pg_isready" --quiet; do sleep 0.1; done
}

case $1 in
install)
	python3 -m venv /opt/netbox
	# What makes its documentation is left out, and a psycopg that is to be compiled is not.
	"$netbox/pip" download --quiet --no-deps --dest /tmp "netbox==$2"
	python3 - /tmp/netbox-*.whl <<-'PYTHON' > /tmp/wanted
		import sys, zipfile
		with zipfile.ZipFile(sys.argv[1]) as wheel:
		    metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))).decode()
		wanted = [line.removeprefix("Requires-Dist: ") for line in metadata.split("\n\n")[0].splitlines() if line.startswith("Requires-Dist: ")]
		print(*(one.replace("psycopg[c,", "psycopg[binary,") for one in wanted if "extra ==" not in one and not one.startswith(("mkdocs", "zensical"))), sep="\n")
	PYTHON
	"$netbox/pip" install --quiet --no-cache-dir --requirement /tmp/wanted
	"$netbox/pip" install --quiet --no-cache-dir --no-deps /tmp/netbox-*.whl
	rm /tmp/*
	;;
migrate)
	as_postgres "$postgresql/initdb" --pgdata "$data" --auth trust --encoding UTF8 --locale C.UTF-8
	start
	as_postgres "$postgresql/createuser" netbox
	as_postgres "$postgresql/createdb" --owner netbox netbox
	# Django makes some million objects for each state between two migrations, and its garbage collector walks them all the time.
	"$netbox/python" -c 'import gc, sys; gc.set_threshold(500_000, 50, 50); sys.argv[0] = "netbox"; from netbox.cli import main; main()' migrate --verbosity 1
	"$netbox/netbox" shell --command "from users.models import User; User.objects.create_superuser('admin', password='admin')"
	kill $! # the loop; then the database
	as_postgres "$postgresql/pg_ctl" --silent --wait --pgdata "$data" stop
	;;
serve)
	start
	cd /opt/netbox
	exec "$netbox/gunicorn" --bind "fd://$2" --workers 1 --threads 4 --timeout 300 --log-level warning netbox.wsgi
	;;
esac
