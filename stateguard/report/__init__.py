"""Incident reports: facts to Markdown, and their way onto the incidents branch."""
