import sys

from jp_adapt.cli.main import main

sys.exit(main())
