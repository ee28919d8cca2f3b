"""Draws (抽奖): odds frozen and published, prizes within the legal cap, every result recomputable."""
