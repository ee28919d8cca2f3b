"""Tell the member something, by whatever channel reaches them then."""

from dataclasses import dataclass
from datetime import timedelta

from loyalty.journeys.moves import Moment, Move, Run
from loyalty.outbox.rules import Notice, SendClass


@dataclass(frozen=True, slots=True)
class Send:
    """Queue `notice` once per run; what the run collected fills its words. It is not sent after `within`."""

    notice: str
    send_class: SendClass
    purpose: str
    within: timedelta

    def decide(self, run: Run, moment: Moment) -> Move:
        """Queue and go on."""
        notice = Notice(
            key=f"journey:{run.id}:{run.node}",
            notice=self.notice,
            send_class=self.send_class,
            purpose=self.purpose,
            member_id=run.member_id,
            params=dict(run.data),
            due_at=moment.now,
            give_up_at=moment.now + self.within,
            bulk=True,
        )
        return Move(notices=(notice,))
