"""The parts that pages are made of: tables, facts, times, notices and dialogs."""
