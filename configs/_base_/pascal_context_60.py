# PASCAL-Context with the background as a 60th class; the recipe is that of the 59.
_base_ = 'pascal_context_59.py'
dataset_type = 'PascalContextDataset'
train_pipeline = _base_.train_pipeline
train_pipeline[1] = dict(type='LoadAnnotations')
test_pipeline = _base_.test_pipeline
test_pipeline[2] = dict(type='LoadAnnotations')
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1].transforms[2] = [dict(type='LoadAnnotations')]
train_dataloader = dict(dataset=dict(type=dataset_type, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(type=dataset_type, pipeline=test_pipeline))
test_dataloader = val_dataloader
