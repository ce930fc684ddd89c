"""What operators see of a running service: metrics, logs, traces and a timeline of events.

Nothing here holds a user id, a text of a user or a secret. Importing it loads neither prometheus-client nor
OpenTelemetry; making a `Telemetry` loads the first, and the second only where tracing is on.
"""

from router_memory.telemetry.counted import counted_timeline
from router_memory.telemetry.folder import empty_folder, mark_process_dead
from router_memory.telemetry.logs import configure_logging
from router_memory.telemetry.routes import route_template
from router_memory.telemetry.telemetry import Telemetry
from router_memory.telemetry.timeline import Timeline
from router_memory.telemetry.tracing import Tracing
from router_memory.telemetry.visits import Visit, current_visit, request_id

__all__ = [
    "Telemetry",
    "Timeline",
    "Tracing",
    "Visit",
    "configure_logging",
    "counted_timeline",
    "current_visit",
    "empty_folder",
    "mark_process_dead",
    "request_id",
    "route_template",
]
