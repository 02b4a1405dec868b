"""What mobileopt adds to asv; named in asv.conf.json as `".mobileopt.asv_plugin"`.

asv finds plugins by the classes they define, so importing a module is all it takes.
"""

from mobileopt import store
from mobileopt.asv_plugin import environment, site  # noqa: F401  importing defines what asv seeks

store.install()  # asv's own saves become atomic, locked and merging
