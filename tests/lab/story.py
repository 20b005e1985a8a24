"""tests/lab/story.py: how a demonstration speaks to the person who watches it. The stories are in stories/, `demo` tells them."""
import sys
import textwrap

BOLD, DIM, PLAIN = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


def say(text):
    print(f"\n{BOLD}{textwrap.fill(' '.join(text.split()), 100)}{PLAIN}", flush=True)


def show(command, output, most=30):
    print(f"  {DIM}$ {command}{PLAIN}")
    lines = output.rstrip().splitlines()
    for line in lines[:most]:
        print(f"    {line}")
    if len(lines) > most:
        print(f"    … {len(lines) - most} more lines")
    sys.stdout.flush()


def log_lines(relay, since):
    for _, line in relay.lines[since:]:
        print(f"    {line}")


def mail(sender, rcpt, subject, text):
    return f"From: <{sender}>\r\nTo: <{rcpt}>\r\nSubject: {subject}\r\n\r\n{text}\r\n".encode()
