"""Networks of many families with random weights: outputs, gradients, features, optimizers, schedulers, losses, EMA."""

import numpy as np
import timm
import torch
from timm.data import Mixup
from timm.loss import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from timm.utils import ModelEmaV3, accuracy

NAMES = [
    "resnet18",
    "resnet26d",
    "seresnet18",
    "resnext26ts",
    "mobilenetv3_small_050",
    "mobilenetv2_035",
    "efficientnet_lite0",
    "vit_tiny_patch16_224",
    "deit_tiny_patch16_224",
    "convnext_atto",
    "convnextv2_atto",
    "densenet121",
    "regnetx_002",
    "regnety_002",
    "repvgg_a0",
    "ghostnet_050",
    "mixer_s32_224",
    "swin_tiny_patch4_window7_224",
    "poolformer_s12",
    "edgenext_xx_small",
    "mobilevit_xxs",
    "levit_128s",
    "pit_ti_224",
    "xcit_nano_12_p16_224",
    "crossvit_tiny_240",
    "coat_lite_tiny",
    "dla34",
    "efficientformer_l1",
    "fastvit_t8",
    "tinynet_e",
    "lcnet_035",
    "gmlp_s16_224",
    "resmlp_12_224",
    "visformer_tiny",
    "twins_pcpvt_small",
    "maxvit_rmlp_pico_rw_256",
    "eva02_tiny_patch14_224",
]
for name in NAMES:
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=10).eval()
    size = model.default_cfg["input_size"]
    out = model(torch.randn(1, *size))
    print(name, sum(p.numel() for p in model.parameters()), [f"{v:.4f}" for v in out[0, :5].tolist()])
torch.manual_seed(0)
features = timm.create_model("resnet18", features_only=True, out_indices=(1, 3))
print([tuple(f.shape) for f in features(torch.randn(1, 3, 64, 64))], features.feature_info.channels())
print(timm.create_model("resnet18", num_classes=0, global_pool="")(torch.randn(1, 3, 64, 64)).shape)
torch.manual_seed(0)
model = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=10, drop_path_rate=0.1)
ema = ModelEmaV3(model, decay=0.9)
mixup = Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, num_classes=10)
for name in (
    "adamw",
    "lamb",
    "lion",
    "adan",
    "madgrad",
    "nadamw",
    "adafactor",
    "lars",
    "rmsproptf",
    "lookahead_radam",
    "novograd",
):
    optimizer = create_optimizer_v2(model, opt=name, lr=1e-3, weight_decay=0.05, layer_decay=0.8)
    scheduler = CosineLRScheduler(optimizer, t_initial=10, warmup_t=2, warmup_lr_init=1e-5)
    torch.manual_seed(1)
    x, y = torch.randn(4, 3, 32, 32), torch.randint(10, (4,))
    for step in range(2):
        loss = LabelSmoothingCrossEntropy(0.1)(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step(step + 1)
        ema.update(model)
    print(name, f"{loss.item():.4f} {optimizer.param_groups[0]['lr']:.6f}")
print([f"{v.item():.2f}" for v in accuracy(ema.module.eval()(x), y, topk=(1, 5))])
np.random.seed(0)
mixed, soft = mixup(x, y)
print(f"{SoftTargetCrossEntropy()(model.eval()(mixed), soft).item():.4f}", soft.sum().item())
