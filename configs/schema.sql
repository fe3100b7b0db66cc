-- What a billing database for l3ctl can look like, in PostgreSQL 15. It holds by itself what l3ctl would refuse: a wrong state cannot be
-- written, by whatever program. Load it as the owner of a database of its own, in one transaction:
--
--   createdb billing && psql -1 -v ON_ERROR_STOP=1 -d billing -f schema.sql
--
--   servers ─< ports ─< hosts ─┬< prefixes
--                              └< addresses
--
-- A table's key is what people call the thing, so a row reads as it is meant:
--
--   INSERT INTO servers VALUES ('rack7-u12');
--   INSERT INTO ports (name, server, router, trunk, vlan) VALUES ('web1', 'rack7-u12', 'r1', 'eth1', 11);
--   INSERT INTO hosts (port, vlan, mac) VALUES ('web1', 11, '52:54:00:0a:00:0b');
--   INSERT INTO prefixes VALUES ('2001:db8:11::/64', 'web1', '52:54:00:0a:00:0b');
--   INSERT INTO addresses VALUES ('192.0.2.11', 'web1', '52:54:00:0a:00:0b');
--
-- The whole inventory is `SELECT * FROM l3ctl_ports`, and every commit that changes it says which ports on the channel `l3ctl`:
--
--   inventory:
--     postgresql: {connection: "host=db.example.net dbname=billing user=l3ctl", query: SELECT * FROM l3ctl_ports, channel: l3ctl}

CREATE EXTENSION IF NOT EXISTS btree_gist; -- comes with PostgreSQL; for `port WITH <>` below

-- The kernel's rule for the name of a netdev.
CREATE DOMAIN netdev AS text CHECK (octet_length(VALUE) BETWEEN 1 AND 15 AND VALUE !~ '[/:[:space:][:cntrl:]]' AND VALUE NOT IN ('.', '..'));
-- Names that appear in logs, metrics and commands.
CREATE DOMAIN label AS text CHECK (VALUE ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$');

CREATE TABLE servers (
    name label PRIMARY KEY,
    in_service boolean NOT NULL DEFAULT true -- false: its ports are not in the inventory
);

CREATE TABLE ports (
    name label PRIMARY KEY,
    server label NOT NULL REFERENCES servers ON UPDATE CASCADE ON DELETE CASCADE,
    router label NOT NULL,
    interface netdev,
    trunk netdev,
    vlan smallint NOT NULL DEFAULT 0 CHECK (vlan BETWEEN 0 AND 4094), -- 0: frames without a tag
    guard netdev,
    qinq boolean NOT NULL DEFAULT false,
    mode text CHECK (mode IN ('enforce', 'audit')),
    source_guard boolean,
    announce boolean NOT NULL DEFAULT true,
    bgp jsonb CHECK (jsonb_typeof(bgp) = 'object'),
    -- What the router calls the port, and where the filter sits, with their defaults.
    netdev netdev NOT NULL GENERATED ALWAYS AS (coalesce(interface, trunk || ('.' || vlan::text))) STORED,
    guarded netdev NOT NULL GENERATED ALWAYS AS (coalesce(guard, trunk, interface)) STORED,
    CONSTRAINT a_trunk_has_a_vlan CHECK ((trunk IS NULL) = (vlan = 0)),
    CONSTRAINT two_tags_need_a_trunk CHECK (trunk IS NOT NULL OR NOT qinq),
    CONSTRAINT one_port_a_vlan UNIQUE (router, trunk, vlan),
    CONSTRAINT one_port_an_interface UNIQUE (router, netdev),
    CONSTRAINT one_port_a_guard UNIQUE (router, guarded, vlan),
    UNIQUE (name, vlan) -- for the hosts' reference
);

CREATE TABLE hosts (
    port label NOT NULL,
    vlan smallint NOT NULL DEFAULT 0, -- the port's
    mac macaddr NOT NULL,
    link_local inet, -- default: formed from the MAC (EUI-64)
    PRIMARY KEY (port, mac),
    FOREIGN KEY (port, vlan) REFERENCES ports (name, vlan) ON UPDATE CASCADE ON DELETE CASCADE,
    CONSTRAINT one_port_a_mac_and_vlan UNIQUE (mac, vlan),
    CONSTRAINT a_unicast_mac CHECK (mac & '01:00:00:00:00:00' = '00:00:00:00:00:00' AND mac <> '00:00:00:00:00:00'),
    CONSTRAINT a_link_local_address CHECK (family(link_local) = 6 AND masklen(link_local) = 128 AND link_local << 'fe80::/10'),
    CONSTRAINT one_host_a_link_local UNIQUE (port, link_local)
);

CREATE TABLE prefixes (
    prefix cidr PRIMARY KEY, -- the type refuses bits beyond the length
    port label NOT NULL,
    mac macaddr NOT NULL,
    FOREIGN KEY (port, mac) REFERENCES hosts ON UPDATE CASCADE ON DELETE CASCADE,
    CONSTRAINT from_48_to_128 CHECK (family(prefix) = 6 AND masklen(prefix) BETWEEN 48 AND 128),
    CONSTRAINT a_unicast_prefix CHECK (
        NOT (prefix && inet 'ff00::/8' OR prefix && inet 'fe80::/10' OR prefix && inet '::ffff:0:0/96' OR prefix && inet '::/127')
    ),
    -- A prefix may be a part of another of the same port, and of no other port's. (`|| ''`, since the planner would else look a port's prefixes
    -- up in this index, which takes 30 times as long as in the one below.)
    CONSTRAINT no_overlap_across_ports EXCLUDE USING gist (prefix inet_ops WITH &&, (port || '') WITH <>)
);
CREATE INDEX ON prefixes (port, mac);

CREATE TABLE addresses (
    address inet PRIMARY KEY,
    port label NOT NULL,
    mac macaddr NOT NULL,
    FOREIGN KEY (port, mac) REFERENCES hosts ON UPDATE CASCADE ON DELETE CASCADE,
    CONSTRAINT one_ipv4_address CHECK (family(address) = 4 AND masklen(address) = 32),
    CONSTRAINT a_unicast_address CHECK (NOT (address << inet '0.0.0.0/8' OR address << inet '127.0.0.0/8' OR address << inet '224.0.0.0/3'))
);
CREATE INDEX ON addresses (port, mac);

-- A record for each port that has a host and whose server is in service.
CREATE VIEW l3ctl_ports AS
SELECT name, router, interface, trunk, nullif(vlan, 0) AS vlan, guard, qinq, mode, source_guard, announce, bgp, (
    SELECT json_agg(json_build_object(
        'mac', mac,
        'link_local', host(link_local),
        'ipv6', (SELECT json_agg(prefix ORDER BY prefix) FROM prefixes WHERE (port, mac) = (hosts.port, hosts.mac)),
        'ipv4', (SELECT json_agg(host(address) ORDER BY address) FROM addresses WHERE (port, mac) = (hosts.port, hosts.mac))
    ) ORDER BY mac) FROM hosts WHERE port = ports.name
) AS hosts
FROM ports
WHERE EXISTS (SELECT FROM hosts WHERE port = ports.name) AND EXISTS (SELECT FROM servers WHERE name = ports.server AND in_service);

-- Every change says the ports it is about: the row's as it was, and as it is. PostgreSQL says each once a transaction, when that is committed.
CREATE FUNCTION l3ctl_tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_notify('l3ctl', to_jsonb(OLD) ->> TG_ARGV[0]);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM pg_notify('l3ctl', to_jsonb(NEW) ->> TG_ARGV[0]);
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION l3ctl_tell_server() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('l3ctl', name) FROM ports WHERE server = NEW.name;
    RETURN NULL;
END
$$;
CREATE FUNCTION l3ctl_tell_everything() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('l3ctl', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON ports FOR EACH ROW EXECUTE FUNCTION l3ctl_tell('name');
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON hosts FOR EACH ROW EXECUTE FUNCTION l3ctl_tell('port');
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON prefixes FOR EACH ROW EXECUTE FUNCTION l3ctl_tell('port');
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON addresses FOR EACH ROW EXECUTE FUNCTION l3ctl_tell('port');
CREATE TRIGGER tell AFTER UPDATE OF in_service ON servers FOR EACH ROW EXECUTE FUNCTION l3ctl_tell_server();
CREATE TRIGGER tell_everything AFTER TRUNCATE ON servers EXECUTE FUNCTION l3ctl_tell_everything();
CREATE TRIGGER tell_everything AFTER TRUNCATE ON ports EXECUTE FUNCTION l3ctl_tell_everything();
CREATE TRIGGER tell_everything AFTER TRUNCATE ON hosts EXECUTE FUNCTION l3ctl_tell_everything();
CREATE TRIGGER tell_everything AFTER TRUNCATE ON prefixes EXECUTE FUNCTION l3ctl_tell_everything();
CREATE TRIGGER tell_everything AFTER TRUNCATE ON addresses EXECUTE FUNCTION l3ctl_tell_everything();

-- Whom the router asks as: it reads that view, and can do nothing else. Give it a way in (pg_hba.conf), and a password if that asks for one.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'l3ctl') THEN
        CREATE ROLE l3ctl LOGIN;
    END IF;
END
$$;
GRANT SELECT ON l3ctl_ports TO l3ctl;
