# What the NetBox of the tests is told: a database and a Redis beside it, which only it can reach. Goes to /opt/netbox/conf in its root.
ALLOWED_HOSTS = ["*"]
DATABASES = {"default": {"NAME": "netbox", "USER": "netbox", "HOST": "/run/postgresql", "CONN_MAX_AGE": 300}}
REDIS = {name: {"HOST": "127.0.0.1", "PORT": 6379, "DATABASE": number} for number, name in enumerate(("tasks", "caching"))}
SECRET_KEY = "nobody's secret: this NetBox lives as long as a test run, and holds nothing"
API_TOKEN_PEPPERS = {1: SECRET_KEY}
