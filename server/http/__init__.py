"""What HTTP surfaces share: endpoints, calls, answers, negotiation, multipart."""
