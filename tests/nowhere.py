"""No process that a test starts asks the real sources of anything."""

NOWHERE = dict.fromkeys(("NVD_API_URL", "NVD_FEED_URL", "KEV_URL", "EPSS_URL"), "off")
"""Settings that switch every upstream off."""
