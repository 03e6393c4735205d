"""Settings that pass the checklist of production."""

SAFE = """
environment = "production"
[server]
behind_tls_proxy = true
trusted_proxies = ["10.0.0.1"]
[gate]
allowed_origins = ["https://app.example.com"]
[tokens]
secrets = ["{}"]
session_secret = "{}"
[admin]
api_keys = ["{}"]
"""
SECRETS = (
    "tQ0v5C7nM2xK9wR4eJ8yB1zL6hF3sD0aPqUgXiVo",
    "Zk3Jm8Qw1Rt6Yb9Nv2Cx5Lp7Hs4Gd0FaEuIoTyWq",
    "b7Xn2Vq9Lw4Zr6Tc1Ym8Kd3Hf5Js0GpAoUeIiRtE",
)
