"""The command line put together: each command is loaded when it is typed."""

from cyclopts import App

from crossfade.control.cli.overview import NAME, SECTIONS, own_version

app = App(
    name=NAME,
    help="Move a live service and its data to a replacement, while it keeps serving.",
    version=own_version,
)

for section, commands in SECTIONS.items():
    for command in commands:
        app.command(command.import_path, name=command.name, group=section)

app.register_install_completion_command(help="Write completions for your shell to its files.")
