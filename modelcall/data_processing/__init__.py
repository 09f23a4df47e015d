"""Describes rows: how raw ones become those that are scored. What runs this over files is not its business."""
