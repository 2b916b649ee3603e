"""What Japanese text is: scripts, normal forms, marks, chat formats."""
